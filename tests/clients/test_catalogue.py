"""The library against the daemon's own catalogue: codes, actions, parameters and attributes.

The client never imports the daemon; this test imports both.
"""

import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

import ropeway
from ropeway import wire
from ropewayd.protocols.catalogue import ACTIONS
from ropewayd.queues import actions
from ropewayd.texting import actions as texting
from ropewayd.topics import actions as topics
from ropewayd.vocabulary import action as definitions
from ropewayd.vocabulary import errors
from tests.clients.peer import serving


def test_every_code_of_the_daemon_is_an_exception_of_its_name() -> None:
    theirs, ours = errors.catalogue(), ropeway.errors.catalogue()
    assert set(ours) == set(theirs)
    for code, kind in ours.items():
        assert kind.__name__ == theirs[code].__name__
        assert kind.retryable == theirs[code].retryable
        assert getattr(ropeway, kind.__name__) is kind
        assert kind.__name__ in ropeway.__all__


def test_every_action_of_the_daemon_has_its_number() -> None:
    ours = {int(each): each.name for each in wire.Action if each is not wire.Action.Hello}
    assert ours == {1: "Ping"} | {code: kind.__name__ for code, kind in ACTIONS.items()}


def test_the_limits_are_the_daemons() -> None:
    assert wire.BATCH_LIMIT == definitions.MAX_BATCH
    assert wire.ELEMENTS_LIMIT >= definitions.MAX_BATCH
    assert ropeway.queue.LONGEST_WAIT * 1000 == ropeway.stream.POLL_WAIT * 1000 == actions.MAX_WAIT


def test_the_settings_of_a_queue_are_the_daemons() -> None:
    assert set(get_type_hints(ropeway.QueueSettings)) == set(actions.QueueAttributes.__struct_fields__)
    shown = set(get_type_hints(ropeway.QueueAttributes)) - set(get_type_hints(ropeway.QueueSettings))
    assert shown == set(re.findall("`(.*?)`", actions.GetQueueAttributes.answer))


def test_the_settings_of_topics_and_subscriptions_are_the_daemons() -> None:
    assert set(get_type_hints(ropeway.TopicSettings)) == set(topics.TopicAttributes.__struct_fields__)
    ours = set(get_type_hints(ropeway.SubscriptionSettings))
    assert ours == set(topics.SubscriptionAttributes.__struct_fields__)


def test_the_settings_of_text_messages_are_the_daemons() -> None:
    assert set(get_type_hints(ropeway.SmsSettings)) == set(texting.SmsAttributes.__struct_fields__)
    hints = get_type_hints(texting.CreateSandboxPhoneNumber)
    assert get_args(ropeway.phones.Language) == get_args(hints["language"])


async def test_every_parameter_of_every_action_can_be_said(tmp_path: Path) -> None:
    """Each method with all it takes: the daemon's definitions accept each request, and each field is used."""
    async with serving(tmp_path / "peer.sock") as peer, ropeway.connect(peer.url) as broker:
        jobs = await broker.create_queue("jobs", delay=1, tags={"team": "a"})
        await jobs.send(
            "a",
            delay=0,
            attributes={"n": 1},
            trace_header="Root=1",
            group="g",
            deduplication_id="d",
            token="t",
        )
        [message] = await jobs.receive(1, wait=1, visibility_timeout=5)
        await broker.receive([jobs, "jobs"], 1, weights=[1, 2], wait=1, visibility_timeout=5)
        fifo = await broker.create_queue("jobs.fifo", tags={"team": "a"}, fifo=True)
        await fifo.receive(1, wait=0, visibility_timeout=5)
        await message.extend(7)
        await message.delete()
        await jobs.attributes()
        await jobs.set(delay=2)
        await broker.page_queues("j", after="a", limit=10, account="0" * 12, region="eu-1")
        await jobs.tag({"team": "b"})
        await jobs.untag(["team"])
        await jobs.tags()
        await jobs.add_permission("all", ["0" * 12], ["*"])
        await jobs.remove_permission("all")
        options = ropeway.PeekOptions(states=["visible"], group="g", min_age=1, max_age=2, bodies=True)
        await jobs.page_peek(after=1, limit=5, **options)
        await jobs.page_dead_letter_sources("a", 10)
        task = await jobs.start_move("other", rate=5)
        await jobs.cancel_move(task)
        await jobs.list_moves(3)
        news = await broker.create_topic("news", tags={"team": "a"}, display_name="N")
        await broker.page_topics("n", after="a", limit=10, account="0" * 12, region="eu-1")
        given: Any = {"structure": "json", "group": "g", "deduplication_id": "d", "trace_header": "Root=1"}
        await news.publish("{}", subject="s", attributes={"n": 1}, **given)
        one = await news.subscribe(jobs, filter={"n": [1]}, raw=True, dead_letters="dead")
        await broker.page_subscriptions("a", 10, topic="news", account="0" * 12, region="eu-1")
        assert (await one.attributes())["delivered"] == 2
        await one.set(raw_message_delivery=False)
        await one.unsubscribe()
        await broker.confirm_subscription("00", topic="news", guarded=True)
        assert (await news.attributes())["confirmed"] == 1
        await news.set(display_name="M")
        [attempt], _ = await news.page_deliveries(1, 10, failed=True, wait=1)
        assert (attempt.outcome, attempt.code, attempt.duration) == ("retry", 500, 0.012)
        await news.tag({"team": "b"})
        await news.untag(["team"])
        assert await news.tags() == {"team": "a"}
        await news.add_permission("all", ["0" * 12], ["Publish"])
        await news.remove_permission("all")
        await news.delete()
        phones = broker.phones(account="0" * 12, region="eu-1")
        await phones.set(default_sender_id="Weather")
        assert await phones.attributes() == {"sandbox": False}
        assert not await phones.is_opted_out("+4930123456")
        assert await phones.page_opted_out("+4930123455", 10) == (["+4930123456"], None)
        await phones.opt_in("+4930123456")
        await phones.add_to_sandbox("+4930123456", language="de-DE")
        await phones.verify("+4930123456", "123456")
        await phones.remove_from_sandbox("+4930123456")
        assert await phones.page_sandbox("+4930123455", 10) == ([("+4930123456", True)], None)
        await phones.send("+4930123456", "{}", attributes={"n": 1}, structure="json")
        assert (await broker.show_store())["last_lsn"] == 7
        assert (await broker.backup_store("/backup/monday"))["records"] == 2
        await jobs.purge()
        await jobs.delete()
        asked = {each.action: each.params for each in peer.asked if each.action in ACTIONS}
    assert set(asked) == {code for code in ACTIONS if code != 1}
    for code, params in asked.items():
        kind = ACTIONS[code]
        assert set(params) == set(kind.__struct_fields__)
        msgspec.convert(params, kind)
        if kind.batch == "entries":
            [entry] = get_args(get_type_hints(kind)["entries"])
            assert set(params["entries"][0]) == set(entry.__struct_fields__)
