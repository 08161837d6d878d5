"""What each action does to queues, decided: state is read, never changed.

Each function that the table names takes an action and the time and gives an Outcome: events and an answer, a
typed error, a reason to wait, or what it needs from disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ropewayd.kernel.service import Outcome
from ropewayd.vocabulary.action import Action

from .administration import Administration
from .movetask import Moving
from .owning import Owning
from .peeking import Peeking
from .priorities import Priorities
from .receiving import Receiving
from .registry import Registry
from .sending import Sending
from .settling import Settling
from .waking import Waking


def deciders(
    registry: Registry, entropy: Callable[[int], bytes]
) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
    """The function for each action. `entropy(n)` gives n unguessable bytes."""
    receiving = Receiving(registry)
    return {
        **Administration(registry, entropy).table(),
        **Owning(registry).table(),
        **Peeking(registry).table(),
        **Sending(registry, entropy).table(),
        **receiving.table(),
        **Priorities(registry, receiving, entropy).table(),
        **Settling(registry).table(),
        **Waking(registry).table(),
        **Moving(registry, entropy).table(),
    }
