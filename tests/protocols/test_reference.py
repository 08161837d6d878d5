"""The reference in docs/protocol.md is the catalogue, whole and fresh."""

from pathlib import Path

import msgspec
import pytest

from ropewayd.protocols.catalogue import ACTIONS
from ropewayd.protocols.reference import BEGIN, END, main, reference, renew
from ropewayd.queues.actions import QueueAttributes
from ropewayd.vocabulary.errors import catalogue

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_document_has_the_reference_as_it_is_now() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert renew(text) == text, "run python -m ropewayd.protocols.reference docs/protocol.md"


@pytest.mark.parametrize("code", sorted(ACTIONS))
def test_each_action_is_there_with_its_fields_and_errors(code: int) -> None:
    kind = ACTIONS[code]
    _, _, text = reference().partition(f"### {kind.__name__} ({code})\n")
    text = text.partition("\n### ")[0]
    for field in msgspec.structs.fields(kind):
        assert f"| `{field.name}` |" in text
    for error in kind.errors:
        assert error.code in text or "every action" in text
    assert "Answer: " in text


def test_each_attribute_and_each_error_is_there() -> None:
    text = reference()
    for name in QueueAttributes.__struct_fields__:
        assert f"| `{name}` |" in text
    for code in catalogue():
        assert f"| `{code}` |" in text


def test_ranges_and_defaults_are_told() -> None:
    text = reference()
    assert "| `max_messages` | integer 1 to 1,000 | 1 |" in text
    assert "| `wait` | integer 0 to 20,000 or nil | the queue's |" in text
    assert "| `body` | text or bytes | error |" in text
    assert "| `handle` | bytes | error |" in text


def test_every_field_says_what_it_means() -> None:
    assert "|  |" not in reference()


def test_it_is_written_between_its_markers(tmp_path: Path) -> None:
    stale = tmp_path / "protocol.md"
    stale.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    main([str(stale)])
    assert stale.read_text() == f"before\n{BEGIN}\n\n{reference()}\n\n{END}\nafter\n"
    with pytest.raises(ValueError, match="there is no"):
        renew("no markers")
