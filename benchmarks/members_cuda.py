"""Members one by one on a GPU: `python members_cuda.py [--members N] [--periods T]`.

Stands alone on numba (with numba-cuda) and numpy. A closed pool of 20 hazard classes, each period
of it run in two ways: `every_member` asks each member; `next_event` skips from one who leaves to
the next. Claimants are paid by all members in equal parts; the charge is worked out on the host
after every period, and is there before the next. Every draw is Philox4x32-10 at an address of its
own (member and period, or chunk, period and event), so the order of threads changes nothing.

Members stand class by class; `fate` has a byte for each: 0 for a member, else 1 + the period in
which he left, and 128 more if by a claim.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba.cuda
import numpy as np
from numba import uint8, uint32, uint64
from numpy.typing import NDArray

CLASSES = 20
MAX_PERIODS = 127
LAPSE_CHANCE = 0.01
BENEFIT = 300_000.0
CLAIMED = 128
THREADS = 256
BLOCKS_A_CLASS = 1024
CHUNK = 256  # slots that one thread skips through
KEY0, KEY1 = 20181016, 1
# Salmon et al. 2011: the generator's answer to a counter and a key of noughts
KNOWN_ANSWER = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
BOTH, CLAIM, LAPSE = range(3)  # what a draw decides
WORST_Z = 5.0  # of 80, one in 20 000 runs by chance

cuda: Any = numba.cuda
Function = TypeVar("Function", bound=Callable[..., Any])


def on_device(function: Function) -> Function:
    """Compile a function that kernels call."""
    return cast(Function, cuda.jit(device=True)(function))


def kernel(function: Callable[..., None]) -> Any:
    """Compile a kernel, to be launched as `function[blocks, threads](...)`."""
    return cuda.jit(function)


@on_device
def philox(c0: Any, c1: Any, c2: Any, c3: Any, key0: Any, key1: Any) -> Any:
    """Turn a counter of four words of 32 bits and a key of two, all uint32, into random words."""
    half = uint64(32)
    for _ in range(10):
        product0 = uint64(0xD2511F53) * uint64(c0)
        product1 = uint64(0xCD9E8D57) * uint64(c2)
        c0, c1 = uint32(uint32(product1 >> half) ^ c1 ^ key0), uint32(product1)
        c2, c3 = uint32(uint32(product0 >> half) ^ c3 ^ key1), uint32(product0)
        key0 = uint32(uint64(key0) + uint64(0x9E3779B9))
        key1 = uint32(uint64(key1) + uint64(0xBB67AE85))
    return c0, c1, c2, c3


@on_device
def draw(who: int, what: int, period: int, purpose: int) -> Any:
    """Draw four words at an address of numbers below 2**32."""
    return philox(
        uint32(who), uint32(what), uint32(period), uint32(purpose), uint32(KEY0), uint32(KEY1)
    )


@on_device
def join(high: Any, low: Any) -> Any:
    """Put two words together to one of 64 bits."""
    return (uint64(high) << uint64(32)) | uint64(low)


@on_device
def open_uniform(word: Any) -> Any:
    """Make a double in (0, 1) of the 52 leading bits of a word of 64."""
    return (float(word >> uint64(12)) + 0.5) * 2.0**-52


@kernel
def known_answer(words: Any) -> None:
    """Replace four words by the answer to them as a counter, under a key of noughts."""
    c0, c1, c2, c3 = words[0], words[1], words[2], words[3]
    words[0], words[1], words[2], words[3] = philox(c0, c1, c2, c3, uint32(0), uint32(0))


@on_device
def add_up(counts: Any, kind: int, claims: int, lapses: int) -> None:
    """Add a thread's claims and lapses to those of its class, by way of its block."""
    block = cuda.shared.array(2, uint32)
    if cuda.threadIdx.x < 2:
        block[cuda.threadIdx.x] = 0
    cuda.syncthreads()
    if claims > 0:
        cuda.atomic.add(block, 0, uint32(claims))
    if lapses > 0:
        cuda.atomic.add(block, 1, uint32(lapses))
    cuda.syncthreads()
    if cuda.threadIdx.x < 2 and block[cuda.threadIdx.x] > 0:
        cuda.atomic.add(counts, (kind, cuda.threadIdx.x), uint64(block[cuda.threadIdx.x]))


@kernel
def every_member(fate: Any, size: int, claim: Any, lapse: Any, period: int, counts: Any) -> None:
    """Ask each member of a class (block row) for a claim and, without one, for a lapse.

    A probability is a threshold for the 64 bits of two words: claim uint64[CLASSES], lapse uint64.
    """
    kind, claims, lapses = cuda.blockIdx.y, 0, 0
    for place in range(
        cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x,
        size,
        cuda.gridDim.x * cuda.blockDim.x,
    ):
        member = kind * size + place
        if fate[member] == 0:
            w0, w1, w2, w3 = draw(member, 0, period, BOTH)
            if join(w0, w1) < claim[kind]:
                fate[member] = uint8(CLAIMED + 1 + period)
                claims += 1
            elif join(w2, w3) < lapse:
                fate[member] = uint8(1 + period)
                lapses += 1
    add_up(counts, kind, claims, lapses)


@on_device
def leave(slots: Any, fate: Any, chunk: Any, first: Any, living: int, log_stay: float) -> int:
    """Let the members of a chunk leave with one probability; give how many are left.

    The number of members between two who leave is geometric. A hole is filled with the last of
    the chunk, who is yet to be asked.

    Parameters
    ----------
    slots : uint8[chunks * CHUNK], numbers of a chunk's members within it, changed
    fate : uint8[members], changed
    chunk : its number, the period, the purpose of the draws, and what marks the fates
    first : number of its first member
    living : its members
    log_stay : log of the probability to stay
    """
    number, period, purpose, mark = chunk
    at, event = 0, 0
    while True:
        w0, w1, _, _ = draw(number, event, period, purpose)
        skip = math.log(open_uniform(join(w0, w1))) / log_stay
        if skip >= living - at:
            return living
        at += int(skip)
        living -= 1
        event += 1
        slot = number * CHUNK
        fate[first + int(slots[slot + at])] = uint8(mark + 1 + period)
        slots[slot + at] = slots[slot + living]


@kernel
def next_event(
    fate: Any, chunks: Any, size: int, claim: Any, lapse: float, period: int, counts: Any
) -> None:
    """Skip through the chunks of a class (block row), a thread each, for claims, then for lapses.

    Of the chunks there are slots and how many of each live; probabilities to stay are logs:
    claim float64[CLASSES], lapse float64.
    """
    slots, living = chunks
    kind, claims, lapses = cuda.blockIdx.y, 0, 0
    here = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    a_class = (size + CHUNK - 1) // CHUNK
    if here < a_class:
        number, first = kind * a_class + here, kind * size + here * CHUNK
        before = living[number]
        to_claim, to_lapse = (number, period, CLAIM, CLAIMED), (number, period, LAPSE, 0)
        unclaimed = leave(slots, fate, to_claim, first, before, claim[kind])
        after = leave(slots, fate, to_lapse, first, unclaimed, lapse)
        living[number] = after
        claims, lapses = before - unclaimed, unclaimed - after
    add_up(counts, kind, claims, lapses)


class Pool(NamedTuple):
    """A closed pool: members a class, periods, and the probability of a claim by class."""

    size: int
    periods: int
    claim: NDArray[np.float64]


class Path(NamedTuple):
    """What a run counted.

    counts : int64[T, CLASSES, 2], claims and lapses
    charge : float64[T], yuan a member
    seconds : of all periods
    fate : uint8[CLASSES, members a class]
    """

    counts: NDArray[np.int64]
    charge: NDArray[np.float64]
    seconds: float
    fate: NDArray[np.uint8]


def run(pool: Pool, fate: Any, launch: Callable[[int, Any], None]) -> Path:
    """Run the periods of a pool; `launch` sends one of them to the device."""
    counts = np.zeros((pool.periods, CLASSES, 2), np.int64)
    charge, living = np.zeros(pool.periods), CLASSES * pool.size
    nothing = np.zeros((CLASSES, 2), np.uint64)
    device_counts = cuda.to_device(nothing)
    cuda.synchronize()
    start = time.perf_counter()
    for period in range(pool.periods):
        device_counts.copy_to_device(nothing)
        launch(period, device_counts)
        counts[period] = device_counts.copy_to_host()  # waits for the period to end
        charge[period] = counts[period, :, 0].sum() * BENEFIT / living
        living -= int(counts[period].sum())
    seconds = time.perf_counter() - start
    return Path(counts, charge, seconds, fate.copy_to_host().reshape(CLASSES, pool.size))


def run_every_member(pool: Pool) -> Path:
    """Run a pool by asking each member."""
    fate = cuda.to_device(np.zeros(CLASSES * pool.size, np.uint8))
    claim = cuda.to_device((pool.claim * 2.0**64).astype(np.uint64))
    lapse = np.uint64(LAPSE_CHANCE * 2.0**64)
    blocks = min(BLOCKS_A_CLASS, -(-pool.size // THREADS))

    def launch(period: int, counts: Any) -> None:
        every_member[(blocks, CLASSES), THREADS](fate, pool.size, claim, lapse, period, counts)

    return run(pool, fate, launch)


def run_next_event(pool: Pool) -> Path:
    """Run a pool by skipping from one who leaves to the next."""
    chunks = -(-pool.size // CHUNK)
    fate = cuda.to_device(np.zeros(CLASSES * pool.size, np.uint8))
    slots = cuda.to_device(np.tile(np.arange(CHUNK, dtype=np.uint8), CLASSES * chunks))
    a_class = np.minimum(CHUNK, pool.size - CHUNK * np.arange(chunks))
    living = cuda.to_device(np.tile(a_class.astype(np.int32), CLASSES))
    claim, lapse = cuda.to_device(np.log1p(-pool.claim)), math.log1p(-LAPSE_CHANCE)
    blocks = -(-chunks // THREADS)

    def launch(period: int, counts: Any) -> None:
        next_event[(blocks, CLASSES), THREADS](
            fate, (slots, living), pool.size, claim, lapse, period, counts
        )

    return run(pool, fate, launch)


def worst_z(pool: Pool, path: Path) -> float:
    """Give the worst z-score of a class's claims and survivors, which are binomial counts."""
    stay = (1 - pool.claim) * (1 - LAPSE_CHANCE)
    survive = stay**pool.periods
    claim = pool.claim * (1 - survive) / (1 - stay)
    claims = path.counts[:, :, 0].sum(0)
    survivors = pool.size - path.counts.sum((0, 2))
    scores = [
        (found - pool.size * chance) / np.sqrt(pool.size * chance * (1 - chance))
        for found, chance in ((claims, claim), (survivors, survive))
    ]
    return float(np.abs(scores).max())


def fates_agree(pool: Pool, path: Path) -> bool:
    """Tell whether the members' fates are what was counted, by class, period and cause."""
    for kind, fates in enumerate(path.fate):
        found = np.bincount(fates, minlength=2 * CLAIMED)
        lapses = found[1 : 1 + pool.periods]
        claims = found[CLAIMED + 1 : CLAIMED + 1 + pool.periods]
        if (np.stack([claims, lapses], 1) != path.counts[:, kind]).any():
            return False
    return True


def report(name: str, pool: Pool, path: Path, touched: int) -> bool:
    """Print what a run cost and whether its counts are right; `touched` bytes of memory."""
    gone = path.counts.sum((1, 2)).cumsum()
    lived = int((CLASSES * pool.size - gone).sum())
    worst, agree = worst_z(pool, path), fates_agree(pool, path)
    right = worst < WORST_Z and agree
    print(
        f"{name:13} {path.seconds:8.4f} s  {1e9 * path.seconds / lived:9.5f} ns a member-period  "
        f"{touched / path.seconds / 1e9:7.1f} GB/s  claims {path.counts[:, :, 0].sum():,}  "
        f"lapses {path.counts[:, :, 1].sum():,}  charges {path.charge.sum():.2f} yuan  "
        f"worst |z| {worst:.2f}  {'right' if right else 'WRONG'}"
    )
    return right


def device_name() -> str:
    """Give the name of the device in use."""
    settings: Any = numba.config
    if settings.ENABLE_CUDASIM:
        return "simulator"
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)


def main() -> None:
    """Run both ways and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=100_000_000)
    parser.add_argument("--periods", type=int, default=72)
    wanted = parser.parse_args()
    if not 1 <= wanted.periods <= MAX_PERIODS or wanted.members < CLASSES:
        parser.error(f"expected 1 to {MAX_PERIODS} periods and {CLASSES} members or more")
    print(f"device {device_name()}")
    words = cuda.to_device(np.zeros(4, np.uint32))
    known_answer[1, 1](words)
    right = tuple(words.copy_to_host().tolist()) == KNOWN_ANSWER
    print(f"Philox4x32-10 gives {'its known answer' if right else 'a WRONG answer'}")
    claim = np.linspace(3e-5, 1.3e-4, CLASSES)
    pool, tiny = Pool(wanted.members // CLASSES, wanted.periods, claim), Pool(CHUNK, 1, claim)
    print(f"{CLASSES * pool.size:,} members in {CLASSES} classes, {pool.periods} periods")
    for run_tiny in (run_every_member, run_next_event):
        run_tiny(tiny)  # compiles
    path = run_every_member(pool)
    leavers = int(path.counts.sum())
    asked = pool.periods * CLASSES * pool.size + leavers  # a byte read each, one written once
    right &= report("every member", pool, path, asked)
    path = run_next_event(pool)
    leavers = int(path.counts.sum())
    # a fate written, two slots read, one written; two counts of a chunk every period
    touched = 4 * leavers + 8 * pool.periods * CLASSES * -(-pool.size // CHUNK)
    right &= report("next event", pool, path, touched)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
