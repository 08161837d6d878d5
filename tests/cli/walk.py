"""The commands of a page of docs/, and what each is to print."""

from __future__ import annotations

import re


def walked(text: str) -> list[tuple[str, str]]:
    """Each command, and what it is to print."""
    found: list[tuple[str, str]] = []
    for line in "".join(re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)).splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), ""))
        else:
            command, printed = found[-1]
            found[-1] = command, printed + line + "\n"
    return found
