"""guard: the earlier commit really runs, and a loss is one that no round contradicts."""

from pathlib import Path

import pytest

from bench import __main__ as command
from bench import guard
from bench.contestants import ContestantFailed
from bench.figures import spread


def test_a_loss_is_what_no_round_contradicts() -> None:
    def holds(*rounds: float) -> bool:
        return guard.no_loss("speed", spread(rounds)).holds

    assert holds(1.1, 1.2, 0.9)
    assert holds(0.96, 0.97, 0.96)  # within the noise
    assert holds(0.5, 0.6, 1.01)  # one round says the contrary
    assert not holds(0.5, 0.6, 0.99)


def test_an_unknown_commit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["guard", "--against", "no-such-commit", "--directory", str(tmp_path)]) == 2
    assert "no-such-commit" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_earlier_commit_is_what_runs(tmp_path: Path) -> None:
    """What is unpacked is imported before what is installed."""
    guard.unpack("HEAD", tmp_path)
    marked = tmp_path / "broker" / "ropewayd" / "__main__.py"
    marked.write_text("raise SystemExit('this is the earlier commit')")
    environ = guard.earlier(tmp_path)
    for number, (_, (before, now)) in enumerate(guard.matches(environ)):
        with pytest.raises(ContestantFailed, match="this is the earlier commit"):
            before.start(tmp_path / f"server-{number}")
        assert now.name == "now"
