"""What a run measured is drawn: throughput, latencies, memory and backlog over time, growth."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench import report
from bench.curves import curves, tail
from bench.growth import Cost
from bench.histogram import Histogram
from bench.match import Workload
from bench.samples import Sample
from bench.scenario import Outcome, Scenario, Settings, compared
from bench.scenarios import concurrency, sizes
from tests.bench.test_command import RESULT
from tests.bench.test_page import PLACE

LATENCY = Histogram.of(range(1, 2001)).latency()


def run_of(outcome: Outcome) -> dict[str, Any]:
    scenario = Scenario("tiny", "a tiny one", lambda _: 0, lambda *_: outcome)
    return report.document(
        scenario, Settings(seconds=3, rounds=1, directory=Path("/nowhere")), PLACE, outcome
    )


def captions(outcome: Outcome) -> list[str]:
    return [caption for caption, _ in curves(run_of(outcome))]


def played(workloads: tuple[Workload, ...]) -> Outcome:
    return Outcome([compared(each, {"bare loop": [RESULT], "ropeway": [RESULT]}) for each in workloads])


def test_throughput_is_drawn_against_what_the_workloads_differ_in() -> None:
    assert captions(played(sizes.WORKLOADS)) == ["Throughput against size"]
    assert captions(played(concurrency.WORKLOADS)) == ["Throughput against concurrency"]
    assert captions(played(sizes.WORKLOADS[:2])) == []


def test_latencies_and_time_of_a_match_are_drawn() -> None:
    timeline = tuple(Sample(at / 4, 2**25, 10 * at) for at in range(12))
    result = replace(RESULT, latency_us=LATENCY, timeline=timeline)
    outcome = Outcome([compared(concurrency.WORKLOADS[0], {"ropeway": [result]})])
    named, memory, backlog = captions(outcome)
    assert named.startswith("Latency: full cycle")
    assert (memory, backlog) == ("Memory in the first round", "Backlog in the first round")


def test_what_a_scenario_measured_beside_workloads_is_drawn() -> None:
    costs = {str(size): {"send": asdict(Cost(1.0, 2.0))} for size in (1_000, 10_000)}
    figures = {
        "waits": {"quiet": [asdict(LATENCY)], "spilled": asdict(LATENCY)},
        "timeline": [asdict(Sample(at, 2**25, at)) for at in range(9)],
        "costs": {"queues": costs},
    }
    assert captions(Outcome(figures=figures)) == [
        "Latency: beside the workloads",
        "Memory over the run",
        "Backlog over the run",
        "Costs against queues",
    ]
    [(_, drawn), *_] = curves(run_of(Outcome(figures=figures)))
    assert "waits quiet 1" in drawn
    assert "waits spilled" in drawn


def test_a_distribution_ends_where_it_knows_no_more() -> None:
    points = tail(asdict(LATENCY))
    assert [round(of) for of, _ in points][-1] == 2000
    assert [microseconds for _, microseconds in points] == sorted(microseconds for _, microseconds in points)
    assert Histogram.of([5]).latency().distribution == ()
