"""Medians, ratios round by round, and checks at their very edge."""

from bench.figures import at_least, none, ratios, spread, under


def test_a_spread_has_its_ends_and_its_middle() -> None:
    figure = spread([3.0, 1.0, 2.0])
    assert (figure.low, figure.median, figure.high, figure.rounds) == (1.0, 2.0, 3.0, (3.0, 1.0, 2.0))


def test_ratios_are_taken_round_by_round() -> None:
    # The machine was half as fast in the second round, for both: the ratio does not see it.
    assert ratios([50.0, 25.0, 50.0], [100.0, 50.0, 100.0]).rounds == (0.5, 0.5, 0.5)


def test_rounds_that_lie_far_apart_are_noisy() -> None:
    assert not spread([100.0, 110.0, 120.0]).noisy
    assert spread([100.0, 60.0, 120.0]).noisy


def test_a_target_is_met_at_its_edge_only_where_it_says_at_least() -> None:
    assert at_least("", 0.45, 0.45).holds
    assert not at_least("", 0.45, 0.4499).holds
    assert under("", 0.5, 0.4999).holds
    assert not under("", 0.5, 0.5).holds
    assert none("", 0).holds
    assert not none("", 1).holds
