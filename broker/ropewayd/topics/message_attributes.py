"""What may stand in the attributes of a message that is published. It is less strict than of a queue's
message: a name may begin with AWS., and a message can have more than ten."""

from __future__ import annotations

import re
from typing import Any, Final

from ropewayd.vocabulary.errors import InvalidParameterValue, RopewayError

_NAME: Final = re.compile(r"(?!\.)(?!.*\.\.)[\w.-]{1,256}(?<!\.)\Z")
_KIND: Final = re.compile(r"(String|Number|Binary)(\.[^\x00-\x1f]{1,249})?\Z")


def check_message_attributes(given: dict[str, Any], field: str) -> RopewayError | None:
    """What is wrong with the first that is."""
    for name, (kind, value) in given.items():
        at = f"{field}.{name}"
        if not _NAME.match(name):
            return InvalidParameterValue(
                f"Invalid non-alphanumeric character was found in the message attribute name {name[:256]!r}. "
                "Can only include alphanumeric characters, hyphens, underscores, or dots.",
                at,
            )
        found = _KIND.match(kind) if type(kind) is str else None
        if found is None:
            return InvalidParameterValue(
                f"The message attribute '{name}' has an invalid message attribute type, the set of supported "
                "type prefixes is Binary, Number, and String.",
                at,
            )
        if type(value) is not (bytes if found[1] == "Binary" else str) or not value:
            return InvalidParameterValue(
                f"The message attribute '{name}' must contain non-empty message attribute value for message "
                f"attribute type '{kind}'.",
                at,
            )
        if found[1] == "Number" and not _is_number(str(value)):
            return InvalidParameterValue(f"Could not cast message attribute '{name}' value to number.", at)
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return len(text) <= 200
