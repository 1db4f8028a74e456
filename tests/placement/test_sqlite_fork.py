"""A journal's threads while the process forks."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

PROGRAM = """
import asyncio, os, sys, threading, time, warnings
from orderbridge.placement.sqlite import SqliteEngine

warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads, from 3.12 on
done = []

def work(db):
    began.set()
    time.sleep(0.5)
    done.append(db.execute("SELECT 1").fetchone())

async def main():
    engine = SqliteEngine(sys.argv[1], read_only=False, busy_timeout=5.0, forget=lambda: None)
    writing = asyncio.ensure_future(engine.write(work))
    await asyncio.to_thread(began.wait)
    child = os.fork()
    if child == 0:
        os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    await writing
    await engine.aclose()

began = threading.Event()
asyncio.run(main())
"""


def test_a_fork_waits_until_no_thread_is_in_sqlite(tmp_path: Path) -> None:
    """A child that began in the middle of a write would have SQLite's own locks held for ever."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(PROGRAM), str(tmp_path / "orders.db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
