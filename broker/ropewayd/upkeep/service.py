"""The service: it has no state and no events, and sends errands to the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ropewayd.kernel.service import Errand, Outcome
from ropewayd.kernel.stateless import Stateless
from ropewayd.store.protocol import Claim, Store, Unplaced
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import InvalidParameterValue

from . import actions as a


class Upkeep(Stateless):
    """See the module. `counts`: what the daemon's other parts know beside the store, for ShowStore."""

    name = "upkeep"

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def deciders(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.ShowStore: self._show, a.BackupStore: self._backup}

    def _show(self, action: a.ShowStore, now: int) -> Outcome:
        async def run(store: Store, _: Claim) -> Any:
            return {**msgspec.to_builtins(await store.figures()), **self._counts()}

        return Errand(run)

    def _backup(self, action: a.BackupStore, now: int) -> Outcome:
        if "\0" in action.target:
            return InvalidParameterValue("A path has no zero byte.", "target")

        async def run(store: Store, claim: Claim) -> Any:
            try:
                copied = await store.backup(claim, Path(action.target))
            except Unplaced as error:
                return InvalidParameterValue(str(error), "target")
            return {"target": action.target, **msgspec.to_builtins(copied)}

        return Errand(run)
