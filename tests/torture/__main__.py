"""`python -m tests.torture [orders] [seed] [venue]`: 2,000 orders under faults and SIGKILL, counted."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.torture.points import BOTH
from tests.torture.run import Plan, Torture


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("orders", nargs="?", type=int, default=2000, help="in all, shared by the venues")
    parser.add_argument("seed", nargs="?", type=int, default=1)
    parser.add_argument("venue", nargs="?", choices=[*BOTH, "both"], default="both")
    parser.add_argument("--horizon", type=float, default=2.0, help="seconds")
    given = parser.parse_args()
    venues = BOTH if given.venue == "both" else (given.venue,)
    plan = Plan(orders=given.orders, seed=given.seed, horizon=given.horizon, venues=venues)
    with tempfile.TemporaryDirectory() as folder:
        counts = asyncio.run(Torture(plan, Path(folder)).run())
    print(counts)
    sys.exit(0 if counts.is_clean else 1)


if __name__ == "__main__":
    main()
