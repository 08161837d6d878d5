"""`python -m tests.faults torture --minutes 10`: fault after fault, with new seeds, as long as one lets it.

python -m tests.faults power --seed 7                         one history of power cuts again
python -m tests.faults operations --seed 7 --chapter 3 --at 81    each fault of one operation again
python -m tests.faults rot --seed 7                           one sample's flipped bits again
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.faults.operations import CHAPTERS, MOMENTS, Script, fail_all
from tests.faults.power import history
from tests.faults.rot import rot

HARNESSES = ("power", "operations", "rot")


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def once(harness: str, seed: int) -> Counter[str]:
    """One seed of one harness. Raises Broken."""
    with tempfile.TemporaryDirectory(prefix="ropeway-faults-") as name:
        directory = Path(name)
        if harness == "power":
            return history(seed, directory)
        if harness == "operations":
            chapter = seed % (CHAPTERS + len(MOMENTS))
            return fail_all(seed, directory, range(chapter, chapter + 1), every=7)
        return rot(seed, directory)


def trial(harness: str, seed: int) -> tuple[str, int, Counter[str], str]:
    """The same, and what went wrong."""
    try:
        return harness, seed, once(harness, seed), ""
    except Exception:  # noqa: BLE001  # whatever it is, the seed is at fault and the next one goes on
        return harness, seed, Counter(), traceback.format_exc(limit=-3)[-4000:]


def torture(minutes: float, first: int, jobs: int) -> int:
    """Go through seeds until the time is over. Gives the number of those that failed."""
    until = time.monotonic() + minutes * 60
    figures = {harness: Counter[str]() for harness in HARNESSES}
    failed, seed = 0, first
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        running: set[concurrent.futures.Future[tuple[str, int, Counter[str], str]]] = set()
        while running or time.monotonic() < until:
            while len(running) < jobs and time.monotonic() < until:
                running.add(pool.submit(trial, HARNESSES[seed % len(HARNESSES)], seed))
                seed += 1
            done, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                harness, tried, counted, wrong = future.result()
                figures[harness] += counted
                if wrong:
                    failed += 1
                    tell(f"{harness}, seed {tried} FAILED\n{wrong}")
    for harness in HARNESSES:
        tell(
            f"{harness}: "
            + ", ".join(f"{count:,} {what}" for what, count in sorted(figures[harness].items()))
        )
    tell(f"{seed - first - failed} of {seed - first} seeds hold.")
    return failed


async def again(seed: int, number: int, at: int) -> Counter[str]:
    """Each fault of one operation."""
    with tempfile.TemporaryDirectory(prefix="ropeway-faults-") as name:
        script = Script(seed, Path(name))
        try:
            chapter = (await script.write())[number]
            for fault in chapter.faults():
                if fault.at == at:
                    tell(f"{fault}, a {chapter.operations[at - 1].value}")
                    await script.attempt(chapter, fault)
        finally:
            await script.close()
        return script.figures


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("torture", *HARNESSES))
    parser.add_argument("--minutes", type=float, default=10, help="of torture (10)")
    parser.add_argument(
        "--seed", type=int, default=None, help="the seed, or the first of many (by the clock)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--chapter", type=int, default=0, help="of operations: the chapter")
    parser.add_argument("--at", type=int, default=0, help="of operations: the one that fails")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    if options.what == "torture":
        tell(f"from seed {seed} on, for {options.minutes:g} minutes")
        return 1 if torture(options.minutes, seed, options.jobs) else 0
    if options.at:
        tell(str(dict(asyncio.run(again(seed, options.chapter, options.at)))))
    else:
        tell(str(dict(once(options.what, seed))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
