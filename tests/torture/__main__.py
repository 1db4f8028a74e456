"""`python -m tests.torture [orders] [seed]`: 2,000 orders under faults and SIGKILL, counted."""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.torture.run import torture


def main() -> None:
    given = [int(text) for text in sys.argv[1:3]]
    orders, seed = (*given, *(2000, 1)[len(given) :])
    with tempfile.TemporaryDirectory() as folder:
        counts = asyncio.run(torture(Path(folder) / "orders.db", orders=orders, seed=seed, horizon=2.0))
    print(counts)
    sys.exit(0 if counts.is_clean else 1)


if __name__ == "__main__":
    main()
