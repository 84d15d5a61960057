"""How often drift and gap are called where there is none, and how often where there is."""

from __future__ import annotations

import numpy as np

from promptlabel.flywheel import drift
from promptlabel.flywheel.drift import divergence_of_counts
from promptlabel.flywheel.gap import category_gap

PRODUCTION = 5_000
SHIFT = 0.1
GRID = [(kinds, n) for kinds in (2, 5, 10, 20, 50) for n in (50, 100, 300, 500, 1_000)]


def shares(kinds: int, rng: np.random.Generator) -> np.ndarray:
    """Uneven shares, as categories have."""
    return rng.dirichlet(np.full(kinds, 2.0))


def shifted(before: np.ndarray) -> np.ndarray:
    """The shares after ten points have moved from the most frequent category to the next, as far as it holds them."""
    after, order = before.copy(), np.argsort(-before)
    moved = min(SHIFT, before[order[0]])
    after[order[0]] -= moved
    after[order[1]] += moved
    return after


def alarms(kinds: int, n: int, repeats: int, shift: bool, rng: np.random.Generator) -> tuple[float, float]:
    """How often the permutation test and how often PSI above 0.1 call drift."""
    called = np.zeros(2)
    for _ in range(repeats):
        before = shares(kinds, rng)
        after = shifted(before) if shift else before
        found = divergence_of_counts(rng.multinomial(n, before), rng.multinomial(PRODUCTION, after), rng)
        called += (found.p_value <= drift.ALARM, found.psi > 0.1)
    return float(called[0] / repeats), float(called[1] / repeats)


def report_drift(repeats: int) -> None:
    """Nothing; prints false alarms at every size tried, and the power at 500 cases."""
    drift.PERMUTATIONS = 1_000
    rng = np.random.default_rng(0)
    print(f"{repeats} repeats, {PRODUCTION:,} recent traces; false alarms at 5 %, and of PSI > 0.1")
    print("| categories | cases | false alarms | PSI > 0.1 |\n|---|---|---|---|")
    for kinds, n in GRID:
        ours, psi = alarms(kinds, n, repeats, shift=False, rng=rng)
        print(f"| {kinds} | {n:,} | {ours:.1%} | {psi:.1%} |", flush=True)
    print("\nten points moved between the two most frequent categories, 500 cases\n")
    print("| categories | found | PSI > 0.1 |\n|---|---|---|")
    for kinds in (2, 5, 10, 20, 50):
        ours, psi = alarms(kinds, 500, repeats // 4, shift=True, rng=rng)
        print(f"| {kinds} | {ours:.1%} | {psi:.1%} |", flush=True)


def report_gap(repeats: int) -> None:
    """Nothing; prints how often the interval of the worst-category gap holds a true gap of nothing, and a real one."""
    rng = np.random.default_rng(0)
    print(
        "| categories | truth | naive gap | our gap | interval holds the truth | zero excluded |\n|---|---|---|---|---|---|"
    )
    for count, size, drop in ((10, 30, 0.0), (10, 100, 0.0), (5, 30, 0.0), (30, 30, 0.0), (10, 100, 0.3)):
        names = np.repeat([f"c{c}" for c in range(count)], size).tolist()
        rates = np.repeat([0.9 - drop, *[0.9] * (count - 1)], size)
        found = [category_gap(names, rng.random(len(rates)) < rates, rng) for _ in range(repeats)]
        gaps = [one for one in found if one]
        held, real = np.mean([drop in one.gap for one in gaps]), np.mean([one.is_real for one in gaps])
        naive, ours = np.mean([one.naive for one in gaps]), np.mean([one.gap.estimate for one in gaps])
        print(
            f"| {count} of {size} | {drop:.2f} | {naive:.3f} | {ours:.3f} | {held:.1%} | {real:.1%} |",
            flush=True,
        )
