from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import memory


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """As pytest's own, but in memory, and gone after the test."""
    with memory.directory() as path:
        yield path
