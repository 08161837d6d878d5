"""How costs grow: the exponent that fits them, and a cycle that leaves a queue as it was."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.contestants import Daemon, FifoDaemon
from bench.growth import Cost, exponent, sizes
from bench.scenario import Settings
from bench.scenarios import cost_growth as scenario
from bench.scenarios.cost_growth import DIMENSIONS, Dimension
from bench.store import Store


@given(st.floats(-2, 2), st.floats(1, 1e6), st.integers(1_000, 2_000_000))
def test_a_power_is_found_again(power: float, factor: float, most: int) -> None:
    costs = {size: factor * size**power for size in [100, *sizes(most)]}
    assert exponent(costs) == pytest.approx(power, abs=1e-6)


def test_sizes_are_powers_of_ten_from_a_thousand() -> None:
    assert sizes(1_000) == [1_000]
    assert sizes(1_000_000) == sizes(9_999_999) == [1_000, 10_000, 100_000, 1_000_000]


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda each: each.name.replace(" ", "-"))
def test_a_dimension_makes_what_it_says_and_a_cycle_leaves_it_so(
    dimension: Dimension, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store", dimension.daemon)
    try:
        dimension.grow(store, 1_000)
        before = store.server.left()
        costs = dimension.costs(store.server, 1_000, 3)
        empty = dimension.name in {"queues", "subscriptions"}
        assert store.server.left() == before == (0 if empty else 1_000)
    finally:
        store.close()
    operations = (
        {"publish", "subscribe", "unsubscribe"} if dimension.subscribed else {"send", "receive", "delete"}
    )
    assert costs.keys() == operations
    assert all(cost.worked > 0 and cost.took > 0 for cost in costs.values())


def test_one_size_has_no_growth() -> None:
    assert exponent({1_000: 7.0}) == 0.0


def test_what_grows_and_how_far_can_be_asked_for() -> None:
    settings = Settings(seconds=1, rounds=1, directory=Path(), messages=1_000_000)
    assert scenario.steps(settings) == 4 * len(DIMENSIONS)
    asked = replace(settings, sizes=(1_000, 50_000), only="subscriptions")
    assert [each.name for each in scenario.chosen(asked)] == ["subscriptions"]
    assert scenario.steps(asked) == 2


def test_each_operation_misses_its_own_target() -> None:
    def costs(grows: str) -> scenario.Costs:
        return {
            "queues": {
                size: {what: Cost(1.0, size if what == grows else 50.0) for what in ("send", "delete")}
                for size in sizes(10_000)
            }
        }

    assert [check.holds for check in scenario.checks(costs("nothing"))] == [True, True]
    (missed,) = [check for check in scenario.checks(costs("delete")) if not check.holds]
    assert missed.name.startswith("growth of a delete with queues")
    assert missed.measured == pytest.approx(1.0)


def test_every_cost_of_ours_is_measured_alone() -> None:
    assert {type(dimension.daemon) for dimension in DIMENSIONS} == {Daemon, FifoDaemon}
