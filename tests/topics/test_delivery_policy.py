"""Retries: how many, and how long each waits."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ropewayd.topics.delivery_policy import OTHERS, OWN, Healthy, Retries, effective, read

COUNT = st.integers(0, 30)


def test_aws_schedules_for_what_it_runs_itself() -> None:
    """Facts: 3 at once, 2 after 1 s, 10 from 1 to 20 s, 100,000 at 20 s; and 2 after 10 s, 10 from 10 to
    600 s, 38 at 600 s."""
    assert (OWN.total, OTHERS.total) == (100_015, 50)
    assert OWN.delays()[:6] == [0, 0, 0, 1_000, 1_000, 1_000]
    assert OWN.delays()[14:17] == [20_000] * 3
    assert OTHERS.delays()[:3] == [10_000] * 3
    assert OTHERS.delays()[-1] == 600_000
    assert 20 * 86_400_000 < sum(OWN.delays()) < 24 * 86_400_000
    assert 6 * 3_600_000 < sum(OTHERS.delays()) < 8 * 3_600_000


def test_without_a_policy_there_are_three_20_seconds_apart() -> None:
    healthy = effective(None, None).healthy_retry_policy
    assert healthy is not None
    assert Retries.of(healthy).delays() == [20_000] * 3


@example(at_once=0, soon=0, backing_off=2, late=0, least=7, more=54, function="geometric")
@given(
    at_once=COUNT,
    soon=COUNT,
    backing_off=COUNT,
    late=COUNT,
    least=st.integers(1, 3600),
    more=st.integers(0, 3600),
    function=st.sampled_from(["linear", "arithmetic", "geometric", "exponential"]),
)
def test_delays_never_shrink_and_end(
    at_once: int, soon: int, backing_off: int, late: int, least: int, more: int, function: str
) -> None:
    retries = Retries(at_once, soon, backing_off, late, least * 1000, (least + more) * 1000, function)
    delays = retries.delays()
    assert len(delays) == at_once + soon + backing_off + late
    assert delays == sorted(delays)
    assert delays[:at_once] == [0] * at_once
    assert all(least * 1000 <= each <= (least + more) * 1000 for each in delays[at_once:])
    assert retries.delay(len(delays) + 1) is None
    if backing_off > 1:
        steps = delays[at_once + soon : at_once + soon + backing_off]
        assert (steps[0], steps[-1]) == (least * 1000, (least + more) * 1000)


def test_the_subscriptions_policy_comes_before_the_topics_unless_that_forbids_it() -> None:
    own = json.dumps({"healthyRetryPolicy": {"numRetries": 1}})
    topic = {"defaultHealthyRetryPolicy": {"numRetries": 2}}
    found = [
        effective(own, None),
        effective(own, json.dumps({"http": topic})),
        effective(None, json.dumps({"http": topic})),
        effective(own, json.dumps({"http": {**topic, "disableSubscriptionOverrides": True}})),
    ]
    assert [each.healthy_retry_policy.num_retries for each in found if each.healthy_retry_policy] == [
        1,
        1,
        2,
        2,
    ]


@pytest.mark.parametrize(
    "healthy",
    [
        {"numRetries": 101},
        {"minDelayTarget": 0},
        {"maxDelayTarget": 3601},
        {"minDelayTarget": 30, "maxDelayTarget": 20},
        {"numRetries": 1, "numNoDelayRetries": 2},
        {"numRetries": 100, "minDelayTarget": 100, "maxDelayTarget": 100},
        {"backoffFunction": "cubic"},
        {"colour": "red"},
    ],
)
def test_a_policy_out_of_its_ranges_is_refused(healthy: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of several kinds, each with its own words
        read(json.dumps({"healthyRetryPolicy": healthy}))


def test_the_largest_policy_of_an_hour_is_fine() -> None:
    policy = read(
        json.dumps({"healthyRetryPolicy": {"numRetries": 100, "minDelayTarget": 36, "maxDelayTarget": 36}})
    )
    assert isinstance(policy.healthy_retry_policy, Healthy)
