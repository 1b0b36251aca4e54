"""One dtype per quantity, and why.

* counts of people, claims and bills: int64. A pool of 10**8 members over years of periods passes
  2**31 in sums, and an overflow would be silent.
* money: float64 yuan. A float64 holds every sum below 9 * 10**13 yuan to the fen; where the
  rule is to the fen, sums are made in int64 fen.
* probabilities, intensities, weights: float64. A diagnosis has a probability below 1e-7 a period,
  which float32 uniforms cannot resolve.
* codes (rules, causes): int64, the type that Numba gives a Python int.

The structured rows are what a path leaves behind: `PERIOD_ROW` one settlement of one plan,
`CELL_ROW` what one group of one plan paid and received over the path, `POOL_ROW` one pool of the
market, `PATH_ROW` the path; their field names are the column names of the result tables (MODEL
section 12). `*_STATE` hold the public state: what every member could read in the news.

`MEMBER_ROW`, one row a person, is the exception to one dtype per quantity: there are millions of
them, so codes and periods are as narrow as their bounds allow.
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
    "balance_exhausted",
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
        ("free_bills", MONEY),
        ("defaulted", MONEY),
        ("carried", MONEY),
        ("credited", MONEY),
        ("to_reserve", MONEY),
        ("reserve", MONEY),
        ("paid_in", MONEY),
        ("paid_back", MONEY),
        ("balances", MONEY),
        ("interest", MONEY),
        ("cross_selling", MONEY),
        ("acquisition", MONEY),
        ("red_packets", MONEY),
        ("investigation", MONEY),
        ("operating", MONEY),
        ("share", MONEY),
        ("expectation", MONEY),
        ("expected_cost", MONEY),
        ("price_slope", RATE),
        ("news", RATE),
        ("shock", RATE),
        ("platform_cash", MONEY),
    ]
)

CELL_ROW = np.dtype(
    [
        ("exposure", COUNT),
        ("cases", COUNT),
        ("paid", MONEY),
        ("received", MONEY),
        ("expected", MONEY),
        ("uncovered", COUNT),
    ]
)

MEMBER_ROW = np.dtype(
    [
        ("member", np.uint32),  # number of the person, kept in another plan or pool
        ("joined", np.int32),  # period; negative before the first
        ("left", np.int32),  # period, -1 while a member
        ("bills", np.int32),  # bills other than zero, paid or not
        ("group", np.int16),  # at joining; health, age and sex
        ("plan", np.int8),
        ("channel", np.int8),  # -1 of members before the first period
        ("motive", np.int8),
        ("cause", np.int8),  # position in LAPSE_CAUSES; see STILL_MEMBER, POOL_CLOSED
        ("frailty", np.float32),  # own incidence relative to the group's
        ("paid", MONEY),  # yuan, of bills
        ("received", MONEY),  # yuan, benefits
        ("returned", MONEY),  # yuan, of the prepaid balance
    ]
)
STILL_MEMBER = -1  # cause of who is a member at the end of the path
POOL_CLOSED = len(LAPSE_CAUSES)  # cause of who was a member when his pool ended

END_OF_POOL = [
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
    ("platform_cash_min", MONEY),
    ("price_slope_max", RATE),
    ("uncovered_members", COUNT),
    ("lost_deposits", MONEY),
    ("returned_contributions", MONEY),
]
POOL_ROW = np.dtype(END_OF_POOL)
PATH_ROW = np.dtype(END_OF_POOL)

PLAN_STATE = np.dtype(
    [
        ("share", MONEY),  # of this period's settlement
        ("share_before", MONEY),  # of the settlement before it
        ("smoothed", MONEY),  # what the smoothing reserve charged a member last
        ("billed_before", np.bool_),  # whether anybody has been billed yet
        ("carried", MONEY),  # deficit (or, negative, surplus) that the next bill takes up
        ("reserve", MONEY),  # members' money that the plan holds
        ("balances", MONEY),  # members' prepaid balances, all together
        ("outstanding", MONEY),  # bills not collected and not yet written off
        ("collected", MONEY),  # this period
        ("written_off", MONEY),  # this period, to be borne by somebody
        ("gives", RATE),  # 1 where this period's first bills are paid by the platform, else 0
        ("paid_in", MONEY),  # this period, into balances
        ("drawn", MONEY),  # this period, from balances
        ("interest", MONEY),  # this period, on reserve and balances
        ("acquisition", MONEY),  # this period's cost of those who joined
        ("red_packets", MONEY),  # this period's presents to those who joined
        ("joined", COUNT),  # this period, from the market
        ("moved_in", COUNT),  # this period, from another plan
        ("periods_above_limit", COUNT),  # in succession
    ]
)

STAGE_STATE = np.dtype(
    [
        ("wear", RATE),  # mean of exp(-d/tau), d the time past waiting
        ("unbilled", RATE),  # share that has had no non-trivial bill
        ("free", RATE),  # share whose first bill the platform will pay
        ("loyalty", RATE),  # mean of exp(-l d), d the time since joining
    ]
)

MARKET_STATE = np.dtype(
    [
        ("market_left", COUNT),  # people who never joined
        ("deviate", RATE),  # of the common shock, standard normal
        ("shock", RATE),  # Z, mean 1
    ]
)

POOL_STATE = np.dtype(
    [
        ("members", COUNT),  # over all plans, after the latest step
        ("share_year", MONEY),  # last annualised share of the pool
        ("news", RATE),
        ("cash", MONEY),
        ("contributions", MONEY),  # collected from members so far
        ("closure_cause", CODE),
        ("closure_period", COUNT),
        ("winding", COUNT),  # periods of wind-down left
        ("closed", np.bool_),  # whether it has ended altogether
        ("ended", COUNT),  # its last period
    ]
)

# What a path depends on, by what it is a property of; see `kernels.parameters`.

MARKET_PARAMETERS = np.dtype(
    [
        ("periods_per_year", COUNT),  # P
        ("market", COUNT),  # M, persons
        ("income_year", MONEY),  # y, yuan per year
        # section 1
        ("bands", COUNT),  # stages of tenure past the waiting period
        ("band_periods", COUNT),  # width of such a stage
        ("selection_decay", RATE),  # factor a period by which selection wears off
        # section 3
        ("selection_start", RATE),  # s0
        ("dispute", RATE),  # delta, probability
        ("shock_volatility", RATE),  # sd of log Z
        ("shock_persistence", RATE),  # of log Z, per period
        # section 6
        ("shock_cap", RATE),  # g_max
        ("dead_zone", RATE),  # gap and growth below which nobody moves
        ("attention_slope", RATE),  # alpha
        ("loyalty_decay", RATE),  # exp(-l/P), factor a period
        ("mortal", np.bool_),  # whether members die
        ("selective", np.bool_),  # whether intensities of lapse differ by health
        # section 8
        ("closure_jump", RATE),  # news that the closure of a peer is
    ]
)

POOL_PARAMETERS = np.dtype(
    [
        # section 2
        ("price_sensitivity", RATE),  # eta
        ("news_sensitivity", RATE),  # nu
        ("max_growth", RATE),  # per period, inf for none
        ("max_joins", COUNT),  # persons a period
        # section 7
        ("news_persistence", RATE),  # rho_n
        ("news_size", RATE),
        ("news_base", RATE),  # mu_n, events per period
        ("news_per_dispute", RATE),
        ("news_per_share_jump", RATE),
        ("news_per_market_share", RATE),
        ("news_echo", RATE),
        # section 8
        ("funding", MONEY),  # cash at the start
        ("parent", np.bool_),  # whether somebody covers cash below zero
        ("sales_year", RATE),  # sales per member-year times commission, yuan
        ("cannibalisation", RATE),  # share of members who buy nothing because they have this
        ("interest", RATE),  # per period
        ("keeps_interest", np.bool_),
        ("custody_from_platform", np.bool_),  # whether the platform pays the custodian
        ("funds_in_custody", np.bool_),  # whether members' money survives the platform
        ("investigation", MONEY),  # yuan a claim
        ("operating", MONEY),  # yuan a period
        ("operating_member", MONEY),  # yuan a member and period
        ("floor_members", COUNT),  # persons
        ("floor_from", COUNT),  # period
        ("share_limit", MONEY),  # yuan, inf for none
        ("share_limit_periods", COUNT),
        ("profit_deadline", COUNT),  # period from which a year without profit closes
        ("wind_down", COUNT),  # periods
        ("platform_winds_down", np.bool_),  # whether the platform pays for it
        ("returned_share", RATE),  # of contributions, paid back at the closure
    ]
)

PLAN_PARAMETERS = np.dtype(
    [
        ("pool", CODE),
        ("wait", COUNT),  # periods
        ("last_band", COUNT),  # age band of max_age
        ("successor", CODE),  # plan that takes over, or -1
        ("benefit_limit", MONEY),  # yuan per payer and case, inf for none
        ("rule", CODE),
        ("inner_rule", CODE),  # inside the bands of the rule pooled_bands
        ("quota", RATE),  # z, part of its cost that a band cedes to all
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
        ("first_bill_free", np.bool_),
        ("smooths", np.bool_),  # whether there is a smoothing reserve
        ("smoothing", RATE),  # phi
        ("loading", MONEY),  # yuan a payer and period
        ("reserve", MONEY),  # yuan, at the start
        ("premium", MONEY),  # fixed price, yuan a payer and period; negative for none
        ("deposit", MONEY),  # yuan, of a prepaid balance; negative for none
        ("low_balance", MONEY),  # yuan
        ("top_up", RATE),  # u, probability
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
        ("lapse_ratio", RATE),  # intensities of lapse relative to the motive's
    ]
)

CHANNEL_PARAMETERS = np.dtype(
    [
        ("plan", CODE),
        ("word_of_mouth", RATE),  # q_j, per period
        ("acquisition", MONEY),  # yuan a sign-up
        ("red_packet", MONEY),  # yuan a sign-up
    ]
)

MOTIVE_PARAMETERS = np.dtype(
    [
        ("education", RATE),  # e, share of the gap learnt in a period
        ("attention", RATE),  # a, probability that a member reconsiders without cause
    ]
)

PERIOD_PARAMETERS = np.dtype(
    [
        ("competitor", RATE),  # pull
        ("announcement", RATE),  # 1 where a regulator speaks, else 0
        ("trend", RATE),  # (1 + trend)^(t/P)
    ]
)

POOL_PERIOD_PARAMETERS = np.dtype(
    [
        ("outside_news", RATE),  # dated jumps
        ("closure_hazard", RATE),  # intensity of an order to close, per period
    ]
)

# What only individuals have; see `kernels.individuals`.

FRAILTY_LAWS = ("none", "gamma", "discrete")

INDIVIDUAL_PARAMETERS = np.dtype(
    [
        ("frailty_law", CODE),  # position in FRAILTY_LAWS
        ("frailty_variance", RATE),  # of the law gamma, whose mean is 1
        ("own_bills", np.bool_),  # whether members learn from their own bills
        ("sample", RATE),  # part of the members who get a row, 0..1
    ]
)

INITIAL_VINTAGE = np.dtype(
    [
        ("plan", CODE),
        ("stage", CODE),  # of tenure, as in the cohort engine
        ("tenure", COUNT),  # periods since joining
        ("wear", RATE),  # exp(-d/tau), d the time past waiting
        ("loyalty", RATE),  # exp(-l d), d the time since joining
    ]
)

SLOT = np.dtype(
    [
        ("traits", np.uint32),  # group at joining, channel, arrears; see `kernels.roster.pack`
        ("number", np.uint32),  # of the person
        ("frailty", np.float32),  # own incidence relative to the group's, 1 where nobody differs
    ]
)

VINTAGE_STATE = np.dtype(
    [
        ("plan", CODE),
        ("joined", COUNT),  # period; negative before the first
        ("covered_from", COUNT),  # period in which waiting is over
        ("first_band", COUNT),  # band past waiting that they are in then
        ("year", COUNT),  # in which they entered
        ("years", COUNT),  # birthdays since
        ("stage", COUNT),  # of tenure
        ("people", COUNT),  # in classes
        ("wear", RATE),  # exp(-d/tau), d the time past waiting
        ("loyalty", RATE),  # exp(-l d), d the time since joining
        ("unbilled", RATE),  # 1 while the first non-trivial bill is to come, else 0
        ("free", RATE),  # 1 while the platform will pay it, else 0
        # the highest over the groups that are there: bounds for thinning
        ("hazard", RATE),
        ("mortality", RATE),
        ("lapse_ratio", RATE),
        ("charge", MONEY),  # this period, yuan
        ("lowest_charge", MONEY),
    ]
)

CLASS_STATE = np.dtype(
    [
        ("start", COUNT),  # first slot
        ("members", COUNT),
        ("clean", COUNT),  # of them, without a failed bill
        ("vintage", COUNT),
        ("motive", COUNT),
        ("kind", COUNT),  # band of frailty, or PADDING_KIND
        ("frailty", RATE),  # the highest
    ]
)

PENDING_ROW = np.dtype(
    [
        ("number", np.uint32),
        ("joined", np.int32),
        ("due", np.int32),  # period of the assessment
        ("bills", np.int32),  # had, less those of a claimant of the group by then
        ("group", np.int16),  # at the diagnosis
        ("group_joined", np.int16),
        ("plan", np.int8),
        ("channel", np.int8),
        ("motive", np.int8),
        ("severity", np.int8),  # -1 until it is assessed
        ("accepted", np.bool_),
        ("frailty", np.float32),
        ("paid", MONEY),  # less what was billed to a claimant of the group by then
        ("returned", MONEY),
    ]
)

ROSTER_STATE = np.dtype(
    [
        ("slots", COUNT),  # in use, free ones between classes included
        ("members", COUNT),  # in classes
        ("classes", COUNT),
        ("vintages", COUNT),
        ("pending", COUNT),
        ("rows", COUNT),
        ("numbers", COUNT),  # of people, handed out so far
    ]
)
