"""Step 5 for individuals: who fails to pay, and whose balance is used up (MODEL section 5).

Who pays is not met: a class is walked from one failed bill to the next. Who is in arrears is met
every period, for he either pays it all or fails again.

Laws: those of `kernels.payment`; who was billed x in all and owes y has paid x - y.
"""

from kernels.compiling import borrowing_kernel, inlined_kernel
from kernels.draws import Purpose, Stream, stream, uniforms
from kernels.individuals import Individuals
from kernels.parameters import Parameters
from kernels.roster import (
    AHEAD,
    ARREARS_BIT,
    GROUP_MASK,
    PADDING_KIND,
    Roster,
    Walk,
    arrears_of,
    channel_bits,
    class_address,
    debt_of,
    fetch,
    group_now,
    group_of,
    log_none,
    new_walk,
    note,
    pack,
    swap_slots,
    take_out,
    vacate,
    walk_back,
)
from kernels.state import ARREARS, BALANCE_EXHAUSTED, State, write_off

# Turns of who is in arrears already, apart from those of who is not.
IN_ARREARS = 1 << 29


@inlined_kernel
def collect_individually(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[int, int, int],
    plan: int,
    billed: float,
) -> None:
    """Collect a plan's bills of the period.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed: arrears, debts, collected and outstanding money
    roster : Roster, changed
    when : seed, path, period
    plan : int64
    billed : float64, yuan
    """
    seed, path, period = when
    place = stream(seed, path, Purpose.PAYMENT, period)
    lottery = stream(seed, path, Purpose.SAMPLE, 0)
    prepaid = parameters.plans[plan]["deposit"] >= 0.0
    walk = new_walk()
    failed = 0.0
    if prepaid:
        failed += draw_accounts(parameters, individuals, state, roster, when, plan)
    for number in range(roster.size[0]["classes"]):
        here = roster.classes[number]
        vintage = roster.vintages[here["vintage"]]
        if vintage["plan"] != plan or here["members"] == 0 or vintage["charge"] <= 0.0:
            continue
        if prepaid and here["kind"] != PADDING_KIND:
            continue
        # in a class everybody is as likely to fail: it is the motive's, or nobody pays
        group = group_now(vintage, group_of(roster.slots[here["start"]]["traits"]))
        failure = parameters.failure[here["motive"], group]
        if failure > 0.0:
            clean = here["clean"]
            failed += collect_arrears(
                parameters, individuals, state, roster, (place, lottery), (number, period), failure
            )
            failed += collect_clean(
                parameters, individuals, state, roster, (place, lottery),
                (number, period, clean), failure, walk,
            )  # fmt: skip
    state.plan[plan]["collected"] += billed - failed


@borrowing_kernel
def collect_arrears(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    streams: tuple[Stream, Stream],
    where: tuple[int, int],
    failure: float,
) -> float:
    """Collect from those of a class who failed to pay before: all they owe, or nothing again.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    streams : Stream of payments, of samples
    where : class, period
    failure : float64, probability

    Returns
    -------
    float64, yuan, this period's bills that failed
    """
    place, lottery = streams
    number, period = where
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    plan, stage, motive = vintage["plan"], vintage["stage"], here["motive"]
    address = class_address(here)
    failed = 0.0
    turn = IN_ARREARS
    i = here["clean"]
    while i < here["members"]:
        slot = here["start"] + i
        traits = roster.slots[slot]["traits"]
        group = group_of(traits)
        now = group_now(vintage, group)
        late = arrears_of(traits)
        i += 1
        if state.charge[plan, stage, now] <= 0.0:
            continue
        # the bill at hand is on the account already
        bill = roster.recent[here["vintage"], group, 0]
        owed = debt_of(roster, here["vintage"], group, late + 1)
        cell = (plan, stage, late, motive, now)
        take_out(state, cell, owed - bill, -1)
        turn += 1
        if uniforms(place, address | (turn << 32), 0)[0] >= failure:
            state.plan[plan]["outstanding"] -= owed - bill
            state.plan[plan]["collected"] += owed - bill
            state.members[plan, stage, 0, motive, now] += 1
            roster.slots[slot]["traits"] = pack(group, channel_bits(traits), 0)
            # those before him have been met
            swap_slots(roster.slots, slot, here["start"] + here["clean"])
            here["clean"] += 1
            continue
        failed += bill
        state.plan[plan]["outstanding"] += bill
        if late + 1 >= parameters.grace[plan, now]:
            state.left[plan, ARREARS] += 1
            write_off(state, plan, owed)
            note(individuals, roster, lottery, (number, slot), (period, ARREARS), (owed, 0.0))
            vacate(roster, number, slot)
            i -= 1
        else:
            take_out(state, (plan, stage, late + 1, motive, now), owed, 1)
            roster.slots[slot]["traits"] = pack(group, channel_bits(traits), late + 1)
    return failed


@borrowing_kernel
def collect_clean(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    streams: tuple[Stream, Stream],
    where: tuple[int, int, int],
    failure: float,
    walk: Walk,
) -> float:
    """Find those of a class whose bill fails for the first time in succession.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    streams : Stream of payments, of samples
    where : class, period, how many had no failed bill when the period began
    failure : float64, probability
    walk : Walk, to be used

    Returns
    -------
    float64, yuan, this period's bills that failed
    """
    place, lottery = streams
    number, period, candidates = where
    here = roster.classes[number]
    vintage = roster.vintages[here["vintage"]]
    plan, stage, motive = vintage["plan"], vintage["stage"], here["motive"]
    # what the loop works on stands in variables: handing on a whole roster costs more than it does
    slots, accounts = roster.slots, roster.recent[here["vintage"]]
    positions, _, every_traits = walk
    start, clean, years = here["start"], here["clean"], vintage["years"]
    charge, grace = state.charge[plan, stage], parameters.grace[plan]
    cells = state.members[plan, stage, :, motive]
    owing = state.debt[plan, stage, :, motive]
    address = class_address(here)
    rest = log_none(failure)
    failed = 0.0
    turn, found, position = 0, AHEAD, candidates
    while found == AHEAD:
        found = walk_back(place, address, turn, position, rest, walk)
        fetch(slots, start, found, walk)
        for i in range(found):
            position, traits = positions[i], every_traits[i]
            slot = start + position
            group = traits & GROUP_MASK
            now = group + 2 * years
            if charge[now] <= 0.0:
                continue
            bill = accounts[group, 0]
            failed += bill
            cells[0, now] -= 1
            if grace[now] > 1:
                cells[1, now] += 1
                owing[0, now] += bill
                slots[slot]["traits"] = traits | (1 << ARREARS_BIT)
                clean -= 1
                swap_slots(slots, slot, start + clean)
            else:
                expel(individuals, state, roster, lottery, (number, slot), (period, clean), bill)
                clean -= 1
        turn += found
    here["clean"] = clean
    state.plan[plan]["outstanding"] += failed
    return failed


@borrowing_kernel
def expel(
    individuals: Individuals,
    state: State,
    roster: Roster,
    lottery: Stream,
    where: tuple[int, int],
    moment: tuple[int, int],
    bill: float,
) -> None:
    """Take a member out whose first failed bill is one too many.

    Parameters
    ----------
    individuals : Individuals
    state : State, changed; his cell has been
    roster : Roster, changed
    lottery : Stream of samples
    where : class, slot
    moment : period; members of the class without failed bills as it stands, he among them
    bill : float64, yuan
    """
    number, slot = where
    period, clean = moment
    plan = roster.vintages[roster.classes[number]["vintage"]]["plan"]
    roster.classes[number]["clean"] = clean
    state.left[plan, ARREARS] += 1
    write_off(state, plan, bill)
    note(individuals, roster, lottery, where, (period, ARREARS), (bill, 0.0))
    vacate(roster, number, slot)


@inlined_kernel
def draw_accounts(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    when: tuple[int, int, int],
    plan: int,
) -> float:
    """Draw the period's charges from the balances of a plan, and let members top them up.

    Members of one vintage and group have the same balance and reach the low balance together.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    when : seed, path, period
    plan : int64

    Returns
    -------
    float64, yuan charged that the balances of those who leave did not cover
    """
    seed, path, period = when
    settings = parameters.plans[plan]
    place = stream(seed, path, Purpose.TOP_UP, period)
    lottery = stream(seed, path, Purpose.SAMPLE, 0)
    own = state.plan[plan]["gives"]
    missing = 0.0
    for number in range(roster.size[0]["vintages"]):
        vintage = roster.vintages[number]
        if vintage["plan"] != plan or vintage["people"] == 0:
            continue
        low = False
        part = 1.0 - own * vintage["free"]
        for group in range(parameters.groups.size - 2 * vintage["years"]):
            people = roster.people[number, group]
            now = group_now(vintage, group)
            charge = part * state.charge[plan, vintage["stage"], now]
            if people > 0 and charge != 0.0 and not parameters.groups[now]["is_padding"]:
                roster.balance[number, group] -= charge
                state.plan[plan]["drawn"] += people * charge
                low = low or roster.balance[number, group] < settings["low_balance"]
        if low:
            missing += top_up(
                parameters, individuals, state, roster, (place, lottery), number, period
            )
    return missing


@borrowing_kernel
def top_up(
    parameters: Parameters,
    individuals: Individuals,
    state: State,
    roster: Roster,
    streams: tuple[Stream, Stream],
    number: int,
    period: int,
) -> float:
    """Let those of a vintage whose balance is low fill it up, or leave with the rest of it.

    Parameters
    ----------
    parameters : Parameters
    individuals : Individuals
    state : State, changed
    roster : Roster, changed
    streams : Stream of top-ups, of samples
    number, period : int64, the vintage

    Returns
    -------
    float64, yuan charged that the balances of those who leave did not cover
    """
    place, lottery = streams
    vintage = roster.vintages[number]
    plan, stage = vintage["plan"], vintage["stage"]
    settings = parameters.plans[plan]
    missing = 0.0
    for where in range(roster.size[0]["classes"]):
        here = roster.classes[where]
        if here["vintage"] != number or here["kind"] == PADDING_KIND:
            continue
        for slot in range(here["start"] + here["members"] - 1, here["start"] - 1, -1):
            group = group_of(roster.slots[slot]["traits"])
            now = group_now(vintage, group)
            balance = roster.balance[number, group]
            if balance >= settings["low_balance"] or state.charge[plan, stage, now] == 0.0:
                continue
            u = uniforms(place, int(roster.slots[slot]["number"]), 0)[0]
            if u < settings["top_up"]:
                state.plan[plan]["paid_in"] += settings["deposit"] - balance
                continue
            short = max(0.0, -balance)
            missing += short
            state.members[plan, stage, 0, here["motive"], now] -= 1
            state.left[plan, BALANCE_EXHAUSTED] += 1
            money = (short, max(0.0, balance))
            note(individuals, roster, lottery, (where, slot), (period, BALANCE_EXHAUSTED), money)
            vacate(roster, where, slot)
    for group in range(parameters.groups.size):
        low = roster.balance[number, group] < settings["low_balance"]
        if low and not parameters.groups[group]["is_padding"]:
            roster.balance[number, group] = settings["deposit"]
    state.plan[plan]["drawn"] -= missing
    state.plan[plan]["written_off"] += missing
    return missing
