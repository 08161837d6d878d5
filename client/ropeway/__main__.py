"""The command `ropeway`. It only looks whether the packages of its extra are there; the rest is in `cli`."""

from __future__ import annotations

import importlib.util
import sys

NEEDED = ("click", "rich")


def main() -> int:
    """Run the command; gives the exit code."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        sys.stderr.write(f"ropeway: {' and '.join(missing)} {verb} missing: pip install 'ropeway[cli]'\n")
        return 2
    from ropeway.cli.command import run  # noqa: PLC0415 - it needs what was looked for above

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
