"""What every test shares: how the examples of properties are chosen, signals, and tests that need a program.

`@pytest.mark.needs("node")` names programs that not every machine has. Where one is missing the test is left
out, and the run says so at its end; with ROPEWAY_TEST_ALL=1, as on CI, it fails instead, so that nothing is
left out unseen.
"""

import os
import shutil
import signal
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# No deadlines, and no complaint of slowness: a busy machine is no failure. On CI the examples are the same in
# each run, so that a failure belongs to the change it shows up with; on a desk they are new each time.
settings.register_profile(
    "desk", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fixed", settings.get_profile("desk"), derandomize=True, database=None)
settings.load_profile("fixed" if os.environ.get("CI") else "desk")

LEFT_OUT = "left out for want of: "


def pytest_configure() -> None:
    """`nohup make test &` hands down signals that are ignored; the tests send them, and expect them heard."""
    for number, heard in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, heard)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """`-n auto` of the proofs is one more than there are cores: some of them wait, for daemons and
    programs, half of their time. None: as pytest-xdist has it."""
    return (os.cpu_count() or 1) + 1 if config.option.markexpr == "proof" else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    needed = [str(program) for marker in item.iter_markers("needs") for program in marker.args]
    missing = [program for program in needed if shutil.which(program) is None]
    if not missing:
        return
    if os.environ.get("ROPEWAY_TEST_ALL") == "1":
        pytest.fail(f"not on PATH, and ROPEWAY_TEST_ALL=1: {', '.join(missing)}", pytrace=False)
    pytest.skip(LEFT_OUT + ", ".join(missing))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        # pytest gives the place and the reason of a skip as a triple.
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        _, _, programs = reason.partition(LEFT_OUT)
        if programs:
            left_out[programs] += 1
    if left_out:
        terminalreporter.section("left out, for want of a program")
        for programs, tests in sorted(left_out.items()):
            terminalreporter.line(f"{programs}: {tests} {'test' if tests == 1 else 'tests'}")
