"""`python -m tests.model --steps 1000000`: daemon and reference model side by side for so many steps, other
ones each time."""

from __future__ import annotations

import argparse
import sys
import time

from hypothesis import HealthCheck, settings

from tests.model.machine import KINDS, live


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--steps", type=int, default=30_000, help="steps, of all kinds together (30,000)")
    parser.add_argument(
        "--shrink", action="store_true", help="where they do not agree, look for the shortest such life"
    )
    options = parser.parse_args()
    # Examples are not kept for the next time: each run looks elsewhere.
    health = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    settings.register_profile("model", deadline=None, database=None, suppress_health_check=health)
    settings.load_profile("model")
    total, start = 0, time.monotonic()
    for kind in KINDS:
        began = time.monotonic()
        steps = live(kind, options.steps // len(KINDS), shrink=options.shrink)
        total += steps
        sys.stdout.write(f"{kind.__name__}: {steps:,} steps agree, in {time.monotonic() - began:.0f} s\n")
        sys.stdout.flush()
    sys.stdout.write(f"{total:,} steps, none of which differs, in {time.monotonic() - start:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
