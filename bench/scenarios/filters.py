"""filters: what a publish pays for the filter policies of 1,000 subscriptions, each of three keys.

It runs in this process: policies are compiled, and messages are held against all of them, by attributes and
by body; most want nothing of a message, some want it. Nothing is sent or stored.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, dataclass
from typing import Any

from bench.figures import Check, at_most
from bench.histogram import Histogram
from bench.scenario import Outcome, Scenario, Settings, Watch
from ropewayd.topics.actions import PublishEntry
from ropewayd.topics.filter_policy import FilterPolicy
from ropewayd.topics.notification import Notification

SUBSCRIPTIONS = 1000
CITIES = [f"city-{number}" for number in range(50)]
KINDS = ("order", "refund", "return", "question")
MILLISECONDS = 2.0
SCOPES = ("MessageAttributes", "MessageBody")


@dataclass(frozen=True)
class Took:
    """Microseconds that a message was held against all policies."""

    median: float
    p99: float
    wanted: float
    """Subscriptions that wanted a message, on average."""


def policy(dice: random.Random) -> str:
    """Three keys, of the operators that people use."""
    return json.dumps(
        {
            "kind": dice.sample(KINDS, 2),
            "city": [dice.choice(CITIES), {"prefix": f"city-{dice.randrange(1, 5)}"}],
            "price": [{"numeric": [">=", dice.randrange(50), "<", 50 + dice.randrange(50)]}],
        }
    )


def notification(dice: random.Random, scope: str) -> Notification:
    """A message that such policies look at."""
    said: dict[str, Any] = {
        "kind": dice.choice(KINDS),
        "city": dice.choice(CITIES),
        "price": dice.randrange(100),
    }
    if scope == "MessageBody":
        return Notification(
            PublishEntry("", attributes=None), {"default": json.dumps({**said, "text": "x" * 900})}
        )
    attributes = {
        name: ("Number", str(value)) if isinstance(value, int) else ("String", value)
        for name, value in said.items()
    }
    return Notification(PublishEntry("", attributes=attributes), {"default": "x" * 1024})


def one_round(scope: str, settings: Settings) -> Took:
    """Messages for as long as a window."""
    dice = random.Random(4565)  # the same policies every time
    policies = [FilterPolicy.compiled(policy(dice), scope) for _ in range(SUBSCRIPTIONS)]
    took, wanted, count = Histogram(), 0, 0
    until = time.perf_counter() + settings.seconds
    while time.perf_counter() < until:
        note = notification(dice, scope)
        began = time.perf_counter()
        wanted += sum(note.wanted(each) for each in policies)
        took.add((time.perf_counter() - began) * 1e6)
        count += 1
    latency = took.latency()
    return Took(latency.p50, latency.p99, wanted / count)


def run(settings: Settings, watch: Watch) -> Outcome:
    """Both scopes, round by round."""
    found: dict[str, list[Took]] = {scope: [] for scope in SCOPES}
    for number in range(settings.rounds):
        for scope in SCOPES:
            each = one_round(scope, settings)
            found[scope].append(each)
            watch(
                f"round {number + 1}, {scope}: {each.median:,.0f} us for {SUBSCRIPTIONS:,} policies, "
                f"{each.wanted:.0f} want it"
            )
    figures = {scope: [asdict(each) for each in rounds] for scope, rounds in found.items()}
    return Outcome(figures=figures, checks=checks(found))


def checks(found: dict[str, list[Took]]) -> list[Check]:
    """The targets."""
    return [
        at_most(
            f"milliseconds for {SUBSCRIPTIONS:,} policies of three keys, {scope}",
            MILLISECONDS,
            sorted(each.median for each in rounds)[len(rounds) // 2] / 1000,
        )
        for scope, rounds in found.items()
    ]


def steps(settings: Settings) -> int:
    """How many."""
    return len(SCOPES) * settings.rounds


SCENARIO = Scenario(
    name="filters",
    summary="a message held against 1,000 filter policies of three keys, in this process",
    steps=steps,
    run=run,
)
