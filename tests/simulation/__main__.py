"""`python -m tests.simulation --seeds 500`: live as many histories; say which one went wrong, and how to
see it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import sys
import time
import traceback
from collections import Counter
from functools import partial

from tests.simulation.sqlite_world import simulate_on_sqlite
from tests.simulation.world import simulate


def trial(seed: int, sqlite: bool) -> tuple[int, Counter[str], str]:
    """The seed, its figures, and what went wrong."""
    try:
        world = simulate_on_sqlite(seed) if sqlite else simulate(seed)
    except Exception:  # noqa: BLE001  # whatever it is, the seed is at fault and the next one goes on
        return seed, Counter(), traceback.format_exc(limit=-3)[-4000:]
    checker = world.checker
    figures = Counter(
        {
            "histories": 1,
            "operations": checker.operations,
            "lives": len(world.lives),
            "undone calls": checker.undone,
            "comparisons of state": world.audits,
        }
    )
    return seed, figures, ""


def words(figures: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in figures.items())


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def command(seed: int, sqlite: bool = False) -> str:
    return f"python -m tests.simulation {'--sqlite ' if sqlite else ''}--first {seed} --seeds 1 --trace"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many histories (100)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--sqlite", action="store_true", help="on the real store and a disk that fails")
    parser.add_argument("--trace", action="store_true", help="print each step; for one seed")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    if options.trace:
        for seed in seeds:
            if options.sqlite:
                simulate_on_sqlite(seed, say=tell)
            else:
                simulate(seed, say=tell)
        return 0
    began = time.monotonic()
    failed = 0
    total: Counter[str] = Counter()
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for done, (seed, figures, wrong) in enumerate(
            pool.map(partial(trial, sqlite=options.sqlite), seeds, chunksize=4), start=1
        ):
            total += figures
            if wrong:
                failed += 1
                tell(f"seed {seed} FAILED\n{wrong}\nreplay it: {command(seed, options.sqlite)}")
            elif done % 50 == 0 or done == len(seeds):
                spent = time.monotonic() - began
                tell(f"{done:,} of {len(seeds):,} seeds, {spent:.0f} s: {words(total)}")
    tell(f"{len(seeds) - failed} of {len(seeds)} histories hold.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
