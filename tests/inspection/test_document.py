"""docs/durability.md names tests, commands and settings: each must be there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ropewayd.settings import catalogue

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "durability.md").read_text()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"tests/[\w/.]+\w", TEXT))))
def test_each_test_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z]+)", TEXT))))
def test_each_target_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("setting", sorted(set(re.findall(r"`([a-z]+\.[a-z_]+)`", TEXT)) - {"ropeway.db"}))
def test_each_setting_is_there(setting: str) -> None:
    assert setting in catalogue()


@pytest.mark.parametrize("page", sorted(set(re.findall(r"\]\((\w+\.md)\)", TEXT))))
def test_each_page_is_there(page: str) -> None:
    assert (ROOT / "docs" / page).exists()


def test_the_numbers_are_those_of_the_code() -> None:
    from tests.simulation.test_controls import BUGS

    assert 15 <= len(BUGS) <= 25, "the document says some twenty"
