"""One dtype per quantity, and why.

* counts of people, claims and bills: int64. A pool of 10**8 members over years of periods passes
  2**31 in sums, and an overflow would be silent.
* money: float64 yuan. A float64 holds every sum below 9 * 10**13 yuan to the fen; where the
  rule is to the fen, sums are made in int64 fen.
* probabilities, intensities, weights: float64. A diagnosis has a probability below 1e-7 a period,
  which float32 uniforms cannot resolve.
* codes (rules, causes): int64, the type that Numba gives a Python int.

The structured rows are what a path leaves behind: `PERIOD_ROW` one settlement of one plan,
`PATH_ROW` one path; their field names are the column names of the result tables (MODEL section
12). `PLAN_STATE` and `POOL_STATE` hold the public state: what every member could read in the news.
"""

import numpy as np

COUNT = np.int64
MONEY = np.float64
RATE = np.float64
CODE = np.int64

LAPSE_CAUSES = (
    "base",
    "first_bill",
    "bill_shock",
    "growth",
    "burden",
    "news",
    "competitor",
    "regulation",
    "died",
    "aged_out",
    "moved",
    "early_diagnosis",
    "claimed",
    "rejected",
    "arrears",
)

PERIOD_ROW = np.dtype(
    [
        ("members", COUNT),
        ("payers", COUNT),
        ("joins", COUNT),
        ("moved_in", COUNT),
        ("lapses", COUNT),
        *((f"lapses_{cause}", COUNT) for cause in LAPSE_CAUSES),
        ("diagnoses", COUNT),
        ("cases", COUNT),
        ("rejections", COUNT),
        ("disputes", COUNT),
        ("benefits", MONEY),
        ("unfunded", MONEY),
        ("cost", MONEY),
        ("fee", MONEY),
        ("custody", MONEY),
        ("billed", MONEY),
        ("collected", MONEY),
        ("outstanding", MONEY),
        ("written_off", MONEY),
        ("subsidy", MONEY),
        ("carried", MONEY),
        ("share", MONEY),
        ("expectation", MONEY),
        ("news", RATE),
        ("platform_cash", MONEY),
    ]
)

PATH_ROW = np.dtype(
    [
        ("periods_run", COUNT),
        ("closure_cause", CODE),
        ("closure_period", COUNT),
        ("peak_members", COUNT),
        ("peak_period", COUNT),
        ("members_end", COUNT),
        ("share_max", MONEY),
        ("share_total", MONEY),
        ("cases", COUNT),
        ("benefits", MONEY),
        ("unfunded_benefits", MONEY),
        ("platform_cash_end", MONEY),
        ("uncovered_members", COUNT),
    ]
)

PLAN_STATE = np.dtype(
    [
        ("share", MONEY),  # of this period's settlement
        ("share_before", MONEY),  # of the settlement before it
        ("carried", MONEY),  # deficit (or, negative, surplus) that the next bill takes up
        ("outstanding", MONEY),  # bills not collected and not yet written off
        ("collected", MONEY),  # this period
        ("written_off", MONEY),  # this period, to be borne by somebody
        ("periods_above_limit", COUNT),  # in succession
    ]
)

POOL_STATE = np.dtype(
    [
        ("market_left", COUNT),  # people who never joined
        ("members", COUNT),  # over all plans, after the latest step
        ("share_year", MONEY),  # last annualised share of the pool
        ("news", RATE),
        ("cash", MONEY),
        ("closure_cause", CODE),
    ]
)

# What a path depends on, by what it is a property of; see `kernels.parameters`.

POOL_PARAMETERS = np.dtype(
    [
        ("periods_per_year", COUNT),  # P
        ("market", COUNT),  # M, persons
        ("income_year", MONEY),  # y, yuan per year
        # section 1
        ("bands", COUNT),  # stages of tenure past the waiting period
        ("band_periods", COUNT),  # width of such a stage
        ("selection_decay", RATE),  # factor a period by which selection wears off
        # section 2
        ("price_sensitivity", RATE),  # eta
        ("news_sensitivity", RATE),  # nu
        ("max_growth", RATE),  # per period, inf for none
        ("max_joins", COUNT),  # persons a period
        # section 3
        ("selection_start", RATE),  # s0
        ("dispute", RATE),  # delta, probability
        # section 6
        ("shock_cap", RATE),  # g_max
        ("mortal", np.bool_),  # whether members die
        # section 7
        ("news_persistence", RATE),  # rho_n
        ("news_size", RATE),
        ("news_base", RATE),  # mu_n, events per period
        ("news_per_dispute", RATE),
        ("news_per_share_jump", RATE),
        ("news_per_market_share", RATE),
        ("news_echo", RATE),
        # section 8
        ("floor_members", COUNT),  # persons
        ("floor_from", COUNT),  # period
        ("share_limit", MONEY),  # yuan, inf for none
        ("share_limit_periods", COUNT),
    ]
)

PLAN_PARAMETERS = np.dtype(
    [
        ("wait", COUNT),  # periods
        ("last_band", COUNT),  # age band of max_age
        ("successor", CODE),  # plan that takes over, or -1
        ("benefit_limit", MONEY),  # yuan per payer and case, inf for none
        ("rule", CODE),
        ("rounding", CODE),
        ("excess_to", CODE),
        ("uncollected_to", CODE),
        ("fee_rate", RATE),
        ("custody", MONEY),  # yuan per member and period
        ("cap_case", MONEY),  # yuan, inf for none
        ("cap_period", MONEY),  # yuan, inf for none
        ("cap_year", MONEY),  # yuan, inf for none
        ("waiting_members_pay", np.bool_),
        ("claimants_pay", np.bool_),
        ("trivial_share", MONEY),  # yuan
        ("advertised_share", MONEY),  # yuan
    ]
)

GROUP_PARAMETERS = np.dtype(
    [
        ("code", CODE),  # for addresses: health in 3 bits, age band in 6, sex in 1
        ("band", COUNT),  # age band
        ("band_years", COUNT),  # ages in the band
        ("is_padding", np.bool_),
        ("hazard", RATE),  # ultimate intensity of a diagnosis, per period
        ("acceptance", RATE),  # alpha_h, probability
        ("leaves_on_rejection", np.bool_),
        ("mortality", RATE),  # intensity of death, per period
    ]
)

CHANNEL_PARAMETERS = np.dtype(
    [
        ("plan", CODE),
        ("word_of_mouth", RATE),  # q_j, per period
    ]
)

PERIOD_PARAMETERS = np.dtype(
    [
        ("competitor", RATE),  # pull
        ("announcement", RATE),  # 1 where a regulator speaks, else 0
        ("outside_news", RATE),  # dated jumps
        ("closure_hazard", RATE),  # intensity of an order to close, per period
    ]
)
