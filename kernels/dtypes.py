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
