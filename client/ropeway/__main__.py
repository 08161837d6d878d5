"""The command `ropeway`. It only looks whether the packages of its extra are there; the rest is in `cli`."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys

NEEDED = ("click", "rich")


def main() -> int:
    """Run the command; gives the exit code, unless a signal ended it: that ends the process too."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C ends us, without a traceback, except where `cli` has something to put in order first.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        hint = "pip install '.[cli]' in a clone of Ropeway"
        sys.stderr.write(f"ropeway: {' and '.join(missing)} {verb} missing: {hint}\n")
        return 2
    from ropeway.cli.command import run  # noqa: PLC0415 - it needs what was looked for above

    code = run(sys.argv[1:])
    if code > 128:
        # Not just an exit code: a shell ends its loops and scripts on Ctrl-C only if the signal ended us.
        signal.signal(code - 128, signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    return code


if __name__ == "__main__":
    sys.exit(main())
