"""Access policies as documents: statements, known by their labels, as AWS writes them.

Which documents may stand where, and what a permission can be for, the services say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

Document = dict[str, Any]


def statements(document: Document) -> list[Any]:
    """Those of a policy; one that is not in a list is one."""
    found = document.get("Statement", [])
    return found if type(found) is list else [found]


def labels(document: Document) -> list[object]:
    """What its statements are called, in their order; None where one has no label."""
    return [_label(each) for each in statements(document)]


def with_statement(
    document: Document, label: str, resource: str, accounts: Sequence[str], actions: Sequence[str]
) -> str:
    """The document with one more statement, which allows these accounts these actions; each once."""
    principals = [f"arn:aws:iam::{account}:root" for account in dict.fromkeys(accounts)]
    granted = list(dict.fromkeys(actions))
    statement = {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
        "Action": granted[0] if len(granted) == 1 else granted,
        "Resource": resource,
    }
    return _text({**document, "Statement": [*statements(document), statement]})


def without_statement(document: Document, label: str) -> str:
    """The document without the statements of this label."""
    return _text({**document, "Statement": [s for s in statements(document) if _label(s) != label]})


def _label(statement: Any) -> object:
    return statement.get("Sid") if type(statement) is dict else None


def _text(document: Document) -> str:
    return msgspec.json.encode(document).decode()
