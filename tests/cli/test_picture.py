"""The picture of a queue: bars of the right lengths, and what they mean."""

from ropeway.cli import picture
from tests.cli.conftest import Cli


def test_every_state_that_has_messages_has_a_part_of_the_bar() -> None:
    bar, legend = picture.states({"visible": 10_000, "in_flight": 1, "delayed": 0})
    assert len(bar) == picture.WIDTH
    assert (bar.count("\u2588"), bar.count("\u2593")) == (39, 1)
    assert "in flight 1" in legend
    assert "visible 10,000" in legend
    assert "delayed" not in legend
    assert picture.states({"visible": 0, "in_flight": 0, "delayed": 0}) == []


def test_ages_are_counted_in_spans() -> None:
    lines = picture.ages([1, 59, 60, 3599, 3600, 90_000, 90_000, 90_000], 8)
    assert [(line[:11].strip(), int(line.split("  ")[-2])) for line in lines] == [
        ("under 1m", 2),
        ("under 10m", 1),
        ("under 1h", 1),
        ("under 6h", 1),
        ("1d and more", 3),
    ]
    assert lines[-1].count("\u2588") == picture.WIDTH
    assert picture.ages([1.0], 9)[-1] == "of the first 1 message"
    assert picture.ages([], 0) == []


def test_a_terminal_gets_it(cli: Cli) -> None:
    queue = cli.queue()
    cli.fill(queue, *"abc")
    cli.take(queue, 1)
    with cli.terminal("queue", "show", queue, environ={"NO_COLOR": "1"}) as terminal:
        assert terminal.wait() == 0
        assert "visible 2  " in terminal.shown
        assert "under 1m     3  " in terminal.shown
    assert "under" not in cli.ok("queue", "show", queue)
