"""The command line: `python -m bench list`, `run SCENARIO`, `full`, `size`, `guard`, `compare`, `report`.

Ends with 0 when every target holds, 1 when one does not, 2 when the run itself failed or was asked for
wrongly.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from bench import compare, full, guard, page, report, size
from bench.contestants import ContestantFailed
from bench.machine import machine
from bench.scenario import Scenario, Settings
from bench.scenarios import SCENARIOS
from bench.shim import NoCompiler
from bench.wire import UnexpectedAnswer

HELD, MISSED, FAILED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the command line says and returns the exit status."""
    options = parsed(arguments)
    if options.command == "list":
        for scenario in SCENARIOS.values():
            print(f"{scenario.name}\t{scenario.summary}")
        return HELD
    if options.command == "compare":
        return compared(options.before, options.after)
    if options.command == "report":
        return reported(options.runs, options.html)
    if options.command == "full":
        return in_full(options)
    settings = Settings(
        seconds=options.seconds,
        rounds=getattr(options, "rounds", 1),
        directory=options.directory,
        messages=getattr(options, "messages", Settings.messages),
        polls=getattr(options, "polls", Settings.polls),
        sizes=getattr(options, "sizes", ()),
        only=getattr(options, "only", ""),
    )
    try:
        return run(chosen(options), settings, options.json)
    except (ContestantFailed, NoCompiler, UnexpectedAnswer, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130


def chosen(options: argparse.Namespace) -> Scenario:
    """What is to be measured."""
    if options.command == "guard":
        return guard.scenario(options.against)
    if options.command == "size":
        return size.scenario(size.Load(options.rate, options.message, options.backlog))
    return SCENARIOS[options.scenario]


def run(scenario: Scenario, settings: Settings, target: Path | None) -> int:
    """Runs one scenario and says what came of it."""
    console = Console()
    place = machine(settings.directory)
    if place["file_system"] in {"tmpfs", "ramfs"}:
        print(
            f"bench: {settings.directory} is in memory, where a sync is free; choose another", file=sys.stderr
        )
    began = time.perf_counter()
    with report.watching(console, scenario, settings) as watch:
        outcome = scenario.run(settings, watch)
    content = report.document(scenario, settings, place, outcome)
    content["took_seconds"] = round(time.perf_counter() - began, 1)
    report.show(console, content, outcome)
    if target is not None:
        report.write(target, content)
    return HELD if all(check.holds for check in outcome.checks) else MISSED


def in_full(options: argparse.Namespace) -> int:
    """Runs everything that has a target, and writes the page."""
    try:
        parts = full.chosen(options.only, peers=options.peers)
        if options.quick:
            parts = list(map(full.quick, parts))
        if options.page is not None:  # not after twenty minutes
            full.placed(options.page.read_text(encoding="utf-8"), [])
        if options.no_run:
            parts = []
        ended = full.full(parts, options.results, options.directory, one_of_all, told)
        if options.page is not None:
            full.write(options.results, options.page, options.page.with_suffix(".html"))
    except (OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("bench: interrupted; what was measured is in", options.results, file=sys.stderr)
        return 130
    for what, names in (("a target is missed in", ended.missed), ("nothing was measured in", ended.failed)):
        if names:
            print(f"{what}: {', '.join(names)}")
    if ended.failed:
        return FAILED
    return MISSED if ended.missed else HELD


def one_of_all(scenario: Scenario, settings: Settings, target: Path) -> bool:
    """One scenario of the full run: whether every target holds."""
    return run(scenario, settings, target) == HELD


def told(line: str) -> None:
    """Where the full run is."""
    print(f"\n=== {line}", flush=True)


def compared(before: Path, after: Path) -> int:
    """Prints what changed between two runs."""
    try:
        found = compare.changes(*(json.loads(path.read_text(encoding="utf-8")) for path in (before, after)))
    except (OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return FAILED
    report.show_changes(Console(), found)
    return HELD


def reported(paths: Sequence[Path], html: Path | None) -> int:
    """Prints runs as Markdown, or writes them as HTML."""
    try:
        runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        if any(run.get("format") != report.FORMAT for run in runs):
            raise ValueError(f"not all of these are runs in format {report.FORMAT}")
        if html is None:
            print(page.markdown(runs))
        else:
            html.write_text(page.html(runs), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return FAILED
    return HELD


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the scenarios")
    comparing = commands.add_parser("compare", help="what changed between two runs' JSON files")
    comparing.add_argument("before", type=Path, metavar="A.json", help="the JSON of the run before")
    comparing.add_argument("after", type=Path, metavar="B.json", help="the JSON of the run after")
    reporting = commands.add_parser("report", help="runs' JSON files as a page")
    reporting.add_argument("runs", type=Path, nargs="+", metavar="FILE.json", help="the JSON of a run")
    reporting.add_argument(
        "--html", type=Path, metavar="FILE", help="write HTML with plots (default: print Markdown)"
    )
    everything = commands.add_parser(
        "full", help="everything that has a target, in about twenty minutes, and the page of it"
    )
    everything.add_argument(
        "only", nargs="*", metavar="SCENARIO", help="only these, beside what was measured before"
    )
    everything.add_argument(
        "--no-run", action="store_true", help="measure nothing: only write the page of what was measured"
    )
    everything.add_argument("--peers", action="store_true", help="other brokers too")
    everything.add_argument(
        "--quick", action="store_true", help="as short as can be, to see that everything runs"
    )
    everything.add_argument(
        "--results",
        type=Path,
        default=full.RESULTS,
        metavar="DIR",
        help="where each run's JSON goes (default: bench/results)",
    )
    everything.add_argument(
        "--page",
        type=Path,
        metavar="FILE.md",
        help="write the results below this page's marker, and with plots into the .html beside it "
        "(docs/performance.md)",
    )
    on_a_disk(everything)
    running = commands.add_parser("run", help="run a scenario")
    running.add_argument(
        "scenario", choices=sorted(SCENARIOS), metavar="SCENARIO", help="one of those that `list` names"
    )
    running.add_argument(
        "--messages",
        type=many,
        default=Settings.messages,
        metavar="N",
        help="length of a backlog, where the scenario has one (default: 1000000)",
    )
    running.add_argument(
        "--polls",
        type=whole,
        default=Settings.polls,
        metavar="N",
        help="consumers that wait, where the scenario has them (default: 10000)",
    )
    running.add_argument(
        "--sizes",
        type=several,
        default=(),
        metavar="N,N,...",
        help="how much there is of something, as 1000,100000, where the scenario grows it "
        "(default: powers of ten up to --messages)",
    )
    running.add_argument(
        "--only",
        default="",
        metavar="WORD",
        help="of what the scenario grows, only what has this in its name",
    )
    guarding = commands.add_parser(
        "guard", help="did a change cost speed? This tree beside an earlier commit, in alternating rounds"
    )
    guarding.add_argument(
        "--against",
        default="HEAD~1",
        metavar="COMMIT",
        help="the commit (default: HEAD~1, the last one's parent)",
    )
    sizing = commands.add_parser("size", help="what a load would take on this box, and what room there is")
    sizing.add_argument(
        "--rate", type=rate, required=True, metavar="N", help="messages a second, sent, received and deleted"
    )
    sizing.add_argument(
        "--message",
        type=parsable(size.size),
        default=1024,
        metavar="SIZE",
        help="as 512, 2KiB (default: 1KiB)",
    )
    sizing.add_argument(
        "--backlog",
        type=parsable(size.duration),
        default=3600.0,
        metavar="TIME",
        help="messages of so long may have to wait, as 30s, 15m, 1h, 2d (default: 1h)",
    )
    for each in (running, guarding):
        each.add_argument(
            "--rounds", type=whole, default=5, metavar="N", help="matches of each kind (default: 5)"
        )
    for each in (running, guarding, sizing):
        measuring(each)
    return parser.parse_args(arguments)


def measuring(parser: argparse.ArgumentParser) -> None:
    """What every run can be told."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to a file")
    parser.add_argument(
        "--seconds", type=positive, default=3.0, metavar="N", help="length of a match (default: 3)"
    )
    on_a_disk(parser)


def on_a_disk(parser: argparse.ArgumentParser) -> None:
    """Where data goes."""
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(tempfile.gettempdir()),
        metavar="DIR",
        help="where data is written: the disk that is measured (default: the system's temporary directory)",
    )


def positive(text: str) -> float:
    """A number of seconds."""
    number = float(text)
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 3600")
    return number


def rate(text: str) -> float:
    """A number of messages a second."""
    number = float(text)
    if not 1 <= number <= 1_000_000_000:
        raise argparse.ArgumentTypeError("must be from 1 to 1000000000")
    return number


def parsable(read: Callable[[str], float]) -> Callable[[str], float]:
    """The same, its complaint shown as it is."""

    def parse(text: str) -> float:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def whole(text: str) -> int:
    """A number of rounds, or of consumers."""
    number = int(text)
    if not 1 <= number <= 100_000:
        raise argparse.ArgumentTypeError("must be from 1 to 100000")
    return number


def many(text: str) -> int:
    """A number of messages."""
    number = int(text)
    if not 1_000 <= number <= 1_000_000_000:
        raise argparse.ArgumentTypeError("must be from 1000 to 1000000000")
    return number


def several(text: str) -> tuple[int, ...]:
    """Numbers that grow."""
    numbers = tuple(map(many, text.split(",")))
    if list(numbers) != sorted(set(numbers)):
        raise argparse.ArgumentTypeError("each must be more than the one before")
    return numbers


def asked_to_end(_number: int, _frame: object) -> None:
    """SIGTERM ends a run as an interrupt does: servers are stopped and their data is removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, asked_to_end)
    sys.exit(main())
