"""The delivery status attributes of a topic: AWS's names, and what they may say.

A role is kept and told. A sample rate says of how many successes, in percent, the log of deliveries has an
entry (see deliveries/status_log.py); failures always have one. A topic that says no rate has all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

ALL: Final = 100
"""Percent of the successes, where nothing else is said."""

_RATE: Final = "SuccessFeedbackSampleRate"
_KINDS: Final = ("HTTP", "Firehose", "Lambda", "Application", "SQS")
_BY_PROTOCOL: Final = {each.lower(): each for each in _KINDS} | {"https": "HTTP"}

NAMES: Final = frozenset(
    f"{kind}{what}" for kind in _KINDS for what in ("SuccessFeedbackRoleArn", "FailureFeedbackRoleArn", _RATE)
)

_PERCENT: Final = re.compile(r"(100|[1-9]?[0-9])\Z")


def problem(given: Mapping[str, str]) -> str | None:
    """What is wrong with these."""
    for name, value in given.items():
        if name not in NAMES:
            return f"there is no delivery status attribute {name[:80]}"
        if name.endswith(_RATE) and value and _PERCENT.match(value) is None:
            return f"{name} must be an integer from 0 to 100"
    return None


def merged(before: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """All that a topic has once these are set; an empty text takes one away."""
    return {name: value for name, value in {**before, **given}.items() if value}


def success_rate(feedback: Mapping[str, str], protocol: str) -> int:
    """Of how many successes by this protocol there is to be an entry, in percent."""
    kind = _BY_PROTOCOL.get(protocol)
    said = None if kind is None else feedback.get(f"{kind}{_RATE}")
    # What an older version took may be no percentage.
    return int(said) if said is not None and _PERCENT.match(said) else ALL
