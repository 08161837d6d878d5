"""File descriptors: how many connections this process can have, those of all protocols together.

Rule 1  The process's own limit is raised as far as the settings ask for and the system lets it.
Rule 2  Where that is less than the settings ask for, the log says so, and connections are refused before
        the descriptors run out: the store, the log and a backup need some that are no peer's to take.
"""

from __future__ import annotations

import resource
from typing import Final

from ropewayd.logs import log
from ropewayd.settings import Settings

BESIDE: Final = 64
"""Descriptors that are no connections: the store's, the log's, the listeners', those being refused."""


def asked_for(settings: Settings) -> int:
    """Connections that the settings allow."""
    http = 0 if settings.http.listen == ("none",) else settings.http.max_connections
    return settings.protocol.max_connections + http


def make_room(connections: int) -> int:
    """Raise the limit as far as so many connections need it; gives how many there can be."""
    needed = connections + BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    within = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, within), hard))
        soft = max(soft, within)
    except (ValueError, OSError):
        within = soft  # a sandbox forbids it
    if soft >= needed:
        return connections
    room = max(1, soft - BESIDE)
    log.warning(
        "the system's limit on open files allows fewer connections than protocol.max_connections and "
        "http.max_connections together; more are refused (ulimit -Hn or the unit's LimitNOFILE= raises it)",
        open_files=soft,
        connections=room,
        asked_for=connections,
    )
    return room
