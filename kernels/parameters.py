"""What a path depends on besides its seed: one NamedTuple of arrays and numbers per step.

Axes by name: plans P, stages S (of tenure: the waiting periods one by one, then the bands past
them), arrears K (consecutive failed bills, 0 .. K-1), motives C, groups G (one for each health
class, age band and sex, in this order of nesting: group = (health * bands + band) * 2 + sex, sex
0 male, 1 female; where there is padding it is the last health class), channels J, delays D,
severities V, periods T. Intensities and probabilities are per period.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


class TenureParameters(NamedTuple):
    """Ageing and the stages of tenure (MODEL section 1).

    wait : int64[P], periods; bands, band_periods, periods_per_year : int64;
    selection_decay : float64, factor a period by which selection wears off;
    band_years : int64[G], years in the group's age band; band : int64[G]; last_band : int64[P], band
    of `max_age`; successor : int64[P], the plan that takes over, or -1.
    """

    wait: Int64
    bands: int
    band_periods: int
    periods_per_year: int
    selection_decay: float
    band_years: Int64
    band: Int64
    last_band: Int64
    successor: Int64


class JoiningParameters(NamedTuple):
    """The market and its channels (MODEL section 2).

    market : int64, persons; push : float64[J, T]; word_of_mouth : float64[J];
    motives, groups : float64[J, C], [J, G], each row sums to 1; plan : int64[J];
    price_sensitivity, news_sensitivity : float64; income : float64, yuan per year;
    max_growth : float64, inf for none; max_joins : int64; is_padding : bool[G].
    """

    market: int
    push: Float64
    word_of_mouth: Float64
    motives: Float64
    groups: Float64
    plan: Int64
    price_sensitivity: float
    news_sensitivity: float
    income: float
    max_growth: float
    max_joins: int
    is_padding: Bool


class ClaimParameters(NamedTuple):
    """Diagnosis, delay, assessment and benefit (MODEL section 3).

    hazard : float64[G], ultimate intensity of a diagnosis; selection_start : float64;
    acceptance : float64[G]; leaves_on_rejection : bool[G]; delay : float64[D];
    severity, fraction : float64[V], probability and fraction of benefit; benefit : float64[P, G],
    yuan; benefit_limit : float64[P], yuan per payer, inf for none; dispute : float64.
    """

    hazard: Float64
    selection_start: float
    acceptance: Float64
    leaves_on_rejection: Bool
    delay: Float64
    severity: Float64
    fraction: Float64
    benefit: Float64
    benefit_limit: Float64
    dispute: float


class ApportionmentParameters(NamedTuple):
    """Who owes what (MODEL section 4).

    rule, rounding, excess_to : int64[P], codes of `kernels.apportion`; weights : float64[P, G];
    fee_rate : float64[P]; custody : float64[P], yuan per member; cap_case, cap_period, cap_year :
    float64[P], yuan, inf for none; waiting_members_pay, claimants_pay : bool[P].
    """

    rule: Int64
    rounding: Int64
    excess_to: Int64
    weights: Float64
    fee_rate: Float64
    custody: Float64
    cap_case: Float64
    cap_period: Float64
    cap_year: Float64
    waiting_members_pay: Bool
    claimants_pay: Bool


class PaymentParameters(NamedTuple):
    """How bills fail (MODEL section 5).

    failure : float64[C, G], probability; grace : int64[P, G], failures that end a membership;
    uncollected_to : int64[P], code of `kernels.payment`.
    """

    failure: Float64
    grace: Int64
    uncollected_to: Int64


class LapseParameters(NamedTuple):
    """Competing causes of lapse (MODEL section 6).

    intensity : float64[C, 8], the coefficient of each cause; mortality : float64[G], deaths;
    shock_cap : float64; trivial_share : float64[P], yuan; income : float64, yuan per period;
    competitor : float64[T], pull; announcement : float64[T], 0 or 1;
    by_cell : bool, whether intensities differ between cells of one motive and stage.
    """

    intensity: Float64
    mortality: Float64
    shock_cap: float
    trivial_share: Float64
    income: float
    competitor: Float64
    announcement: Float64
    by_cell: bool


class NewsParameters(NamedTuple):
    """How expectations and news move (MODEL section 7).

    education : float64[C], share of the gap learnt; advertised : float64[P], yuan;
    persistence, size, base, per_dispute, per_share_jump, per_market_share, echo : float64;
    outside : float64[T], dated jumps.
    """

    education: Float64
    advertised: Float64
    persistence: float
    size: float
    base: float
    per_dispute: float
    per_share_jump: float
    per_market_share: float
    echo: float
    outside: Float64


class ClosureParameters(NamedTuple):
    """When the pool closes (MODEL section 8).

    floor_members, floor_from, share_limit_periods : int64; share_limit : float64, yuan, inf for
    none; hazard : float64[T], intensity of an order to close.
    """

    floor_members: int
    floor_from: int
    share_limit: float
    share_limit_periods: int
    hazard: Float64


class InitialParameters(NamedTuple):
    """Who is there before the first period (MODEL section 2).

    members : int64[P, S, C, G], persons; wear : float64[P, S], mean of exp(-d/tau).
    """

    members: Int64
    wear: Float64


class Parameters(NamedTuple):
    """Everything a path depends on besides seed and path number.

    periods : int64; group_code : int64[G], what a group is, for addresses: health in 3 bits, age
    band in 6, sex in 1; and the parameters of each step.
    """

    periods: int
    group_code: Int64
    tenure: TenureParameters
    joining: JoiningParameters
    claims: ClaimParameters
    apportionment: ApportionmentParameters
    payment: PaymentParameters
    lapse: LapseParameters
    news: NewsParameters
    closure: ClosureParameters
    initial: InitialParameters


GROUPS: dict[str, Any] = {
    "tenure": TenureParameters,
    "joining": JoiningParameters,
    "claims": ClaimParameters,
    "apportionment": ApportionmentParameters,
    "payment": PaymentParameters,
    "lapse": LapseParameters,
    "news": NewsParameters,
    "closure": ClosureParameters,
    "initial": InitialParameters,
}


def from_groups(groups: Mapping[str, Any]) -> Parameters:
    """Pack named arrays and numbers, group by group, into `Parameters`.

    Parameters
    ----------
    groups : `periods` (int), `group_code` (int64[G]), and for each group its name -> field name -> array or number, of
        the dtypes documented above

    Returns
    -------
    Parameters

    Raises
    ------
    TypeError
        A field is missing or there is one too many.
    """
    return Parameters(
        groups["periods"],
        groups["group_code"],
        **{name: kind(**groups[name]) for name, kind in GROUPS.items()},
    )
