"""`python -m tests.faults torture --minutes 10`: fault after fault, with new seeds, as long as one lets it.

python -m tests.faults power --seed 7                         one history of power cuts again
python -m tests.faults operations --seed 7 --chapter 3 --at 81    each fault of one operation again
python -m tests.faults rot --seed 7                           one sample's flipped bits again
python -m tests.faults simulation --seed 7                    some histories of the simulation again
python -m tests.faults deaths --seed 7                        the same kills of the daemon, at other moments
python -m tests.faults rot-daemon --seed 7                    the same flips under the daemon again
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
from collections.abc import Callable, Sequence
from pathlib import Path

from tests import memory
from tests.daemon import Daemon
from tests.durability.deaths import SPILLING, at_work, check, end_queues, in_a_start, in_a_stop, live
from tests.faults.operations import CHAPTERS, MOMENTS, Script, fail_all
from tests.faults.power import history
from tests.faults.rot import DATABASE, LOG, rot
from tests.faults.rot_daemon import make_left, trial
from tests.simulation.__main__ import command
from tests.simulation.sqlite_world import simulate_on_sqlite
from tests.simulation.world import simulate

HARNESSES = ("power", "operations", "rot", "simulation", "deaths", "rot-daemon")
HISTORIES = 8
"""Of the simulation, for one seed here, beside one on the real store."""
KILLS = (at_work, in_a_start, in_a_stop)
PACE = 10
"""Seconds between two lines that tell how far it is."""


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def once(harness: str, seed: int) -> Counter[str]:
    """One seed of one harness. Raises what went wrong."""
    with memory.directory() as directory:
        if harness == "power":
            return history(seed, directory)
        if harness == "operations":
            chapter = seed % (CHAPTERS + len(MOMENTS))
            return fail_all(seed, directory, range(chapter, chapter + 1), every=7)
        if harness == "simulation":
            return histories(seed)
        if harness == "deaths":
            return deaths(seed, directory)
        if harness == "rot-daemon":
            return rot_daemon(seed, directory)
        return rot(seed, directory)


def histories(seed: int) -> Counter[str]:
    figures: Counter[str] = Counter()
    for each in range(seed * HISTORIES, (seed + 1) * HISTORIES):
        try:
            figures["operations"] += simulate(each).checker.operations
        except Exception as error:
            raise AssertionError(f"seed {each} of the simulation; replay it: {command(each)}") from error
    try:
        figures["operations"] += simulate_on_sqlite(seed).checker.operations
    except Exception as error:
        raise AssertionError(f"seed {seed}; replay it: {command(seed, sqlite=True)}") from error
    return figures + Counter(histories=HISTORIES + 1)


def deaths(seed: int, directory: Path) -> Counter[str]:
    """Kills of the real daemon. A seed gives the same kills, not the same moments."""
    kind = seed // len(HARNESSES) % (len(KILLS) + 1)
    if kind == len(KILLS):
        end_queues(directory, 5, seed)
    else:
        environ = SPILLING if seed % 2 else {}
        check(*live(Daemon(directory, environ=environ), directory, KILLS[kind], 5, seed))
    return Counter(kills=5)


def rot_daemon(seed: int, directory: Path) -> Counter[str]:
    (directory / "left").mkdir()
    left = make_left(directory / "left")
    figures: Counter[str] = Counter()
    for number, file in enumerate((DATABASE, LOG, DATABASE, "ropeway.toml")):
        place = directory / str(number)
        place.mkdir()
        figures[trial(left, place, seed * 4 + number, file, served=number == 2)] += 1
    return figures


Trial = tuple[str, int, Counter[str], str]
"""The harness and the seed, its figures, and what went wrong."""


def attempt(harness: str, seed: int) -> Trial:
    """The same, whatever comes of it."""
    try:
        return harness, seed, once(harness, seed), ""
    except Exception:  # noqa: BLE001  # whatever it is, the seed is at fault and the next one goes on
        return harness, seed, Counter(), traceback.format_exc(limit=-3)[-4000:]


def torture(
    minutes: float,
    first: int,
    jobs: int,
    harnesses: Sequence[str],
    attempt: Callable[[str, int], Trial] = attempt,
) -> int:
    """Go through seeds until the time is over. Gives the number of those that failed."""
    began = said = time.monotonic()
    until = began + minutes * 60
    figures = {harness: Counter[str]() for harness in harnesses}
    failed = over = 0
    seed = first
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        running: set[concurrent.futures.Future[Trial]] = set()
        while running or time.monotonic() < until:
            while len(running) < jobs and time.monotonic() < until:
                running.add(pool.submit(attempt, harnesses[seed % len(harnesses)], seed))
                seed += 1
            done, running = concurrent.futures.wait(running, PACE, concurrent.futures.FIRST_COMPLETED)
            for future in done:
                harness, tried, counted, wrong = future.result()
                figures[harness] += counted
                over += 1
                if wrong:
                    failed += 1
                    tell(f"{harness}, seed {tried} FAILED\n{wrong}replay with: {replay(harness, tried)}")
            if time.monotonic() - said >= PACE:
                said = time.monotonic()
                tell(
                    f"{clock(said - began)} of {clock(minutes * 60)}: {over} seeds, {failed} failed; "
                    + short(figures)
                )
    for harness in harnesses:
        tell(f"{harness}: {words(figures[harness])}")
    tell(f"{over - failed} of {over} seeds hold.")
    return failed


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def short(figures: dict[str, Counter[str]]) -> str:
    """One figure of each harness, that in which its work is counted."""
    counted = {"power": "cuts", "simulation": "operations", "deaths": "kills"}
    return ", ".join(
        f"{harness} {figure[counted[harness]] if harness in counted else figure.total():,}"
        for harness, figure in figures.items()
    )


def words(figures: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(figures.items()))


def replay(harness: str, seed: int) -> str:
    return f"python -m tests.faults {harness} --seed {seed}"


async def again(seed: int, number: int, at: int) -> Counter[str]:
    """Each fault of one operation."""
    with tempfile.TemporaryDirectory(prefix="ropeway-faults-") as name:
        script = Script(seed, Path(name))
        try:
            chapter = (await script.write(number))[number]
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
    parser.add_argument("--only", default="", help="of torture: harnesses, with commas (all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--chapter", type=int, default=0, help="of operations: the chapter")
    parser.add_argument("--at", type=int, default=0, help="of operations: the one that fails")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    if options.what == "torture":
        tell(f"from seed {seed} on, for {options.minutes:g} minutes")
        chosen = tuple(options.only.split(",")) if options.only else HARNESSES
        if unknown := set(chosen) - set(HARNESSES):
            parser.error(
                f"there is no harness {', '.join(sorted(unknown))}; there are {', '.join(HARNESSES)}"
            )
        return 1 if torture(options.minutes, seed, options.jobs, chosen) else 0
    if options.at:
        tell(str(dict(asyncio.run(again(seed, options.chapter, options.at)))))
    else:
        tell(str(dict(once(options.what, seed))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
