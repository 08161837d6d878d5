"""What is composed of the settings: every limit below has its setting, with the same default."""

import asyncio
import inspect
from pathlib import Path

import msgspec
import pytest

from ropewayd.daemon import binary_limits, kernel_settings, log_limits, make_store, queue_limits
from ropewayd.deliveries.settings import LogLimits
from ropewayd.ending import Ending
from ropewayd.kernel.settings import KernelSettings
from ropewayd.protocols.binary.settings import BinaryLimits
from ropewayd.queues.settings import QueueLimits
from ropewayd.settings import Settings, catalogue
from ropewayd.sources import gather
from ropewayd.store.sqlite import SqliteStore

FIXED = {
    "max_batch",  # of the actions' own definition: a service and its clients agree on it
    "page_messages",  # how the store is read, and no bound on anybody
    "page_bytes",
    "min_window_bytes",  # how paging works, as the two above
    "kept_bytes",  # how spilling works, and no bound on anybody
    "max_answer_bytes",  # follows from protocol.max_frame
}

OTHER = {"account": "123456789012", "region": "eu-1", "max_request_bytes": str(20 << 20)}
"""Values that differ from the default, where the smallest will not do."""


def test_the_defaults_are_those_of_the_floors_below() -> None:
    settings = Settings()
    assert binary_limits(settings) == BinaryLimits()
    # A bare kernel does not scrub, so that a test's time passes without it; the daemon does, once a day.
    assert kernel_settings(settings) == KernelSettings(scrub_round=86_400_000)
    assert queue_limits(settings) == QueueLimits()
    assert log_limits(settings) == LogLimits()
    parameters = inspect.signature(SqliteStore).parameters
    for name in ("cache_bytes", "wal_bytes", "reserve_bytes"):
        assert parameters[name].default == getattr(settings.store, name)


@pytest.mark.parametrize(
    ("compose", "section"),
    [(binary_limits, "protocol"), (kernel_settings, "kernel"), (queue_limits, "queues")],
)
def test_every_limit_has_a_setting_that_reaches_it(compose: object, section: str) -> None:
    assert callable(compose)
    before = compose(Settings())
    for field in msgspec.structs.fields(type(before)):
        if field.name in FIXED:
            continue
        home = "daemon" if field.name in {"account", "region"} else section
        setting = catalogue()[f"{home}.{field.name}"]
        other = OTHER.get(field.name, str(setting.meta.ge or 1))
        after = compose(gather({setting.path: other}, {}).settings)
        changed = {
            each.name
            for each in msgspec.structs.fields(type(before))
            if getattr(before, each.name) != getattr(after, each.name)
        }
        assert field.name in changed
        assert changed <= {field.name, "max_answer_bytes"}


def test_the_limits_of_the_delivery_status_log_are_settings() -> None:
    given = {"delivery_log": "5", "delivery_log_bytes": str(2 << 20), "delivery_log_excerpt": "7"}
    settings = gather({f"topics.{name}": value for name, value in given.items()}, {}).settings
    assert log_limits(settings) == LogLimits(entries=5, bytes=2 << 20, excerpt=7)


def test_an_answer_fits_the_frame() -> None:
    settings = gather({"protocol.max_frame": str(2 << 20)}, {}).settings
    assert queue_limits(settings).max_answer_bytes < binary_limits(settings).max_frame


def test_the_store_is_not_touched_until_it_is_claimed(tmp_path: Path) -> None:
    settings = gather({"daemon.data_dir": f"{tmp_path}/x"}, {}).settings
    make_store(settings)
    assert list(tmp_path.iterdir()) == []


async def test_a_broken_rule_anywhere_in_the_loop_ends_the_daemon() -> None:
    loop = asyncio.get_running_loop()
    ending = Ending(loop)

    def survived() -> None:
        raise ValueError("one connection's trouble")

    def broken() -> None:
        raise AssertionError("one and one are three")

    loop.call_soon(survived)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not ending.asked.done()
    loop.call_soon(broken)
    with pytest.raises(AssertionError, match="three"):
        await ending.asked
    ending.release()
