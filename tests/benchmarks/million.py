"""Fills a journal with a million placements, each with its order and its first event, by bulk SQL."""

import asyncio
import sqlite3
from pathlib import Path

from orderbridge import Order, OrderRequest, Placement
from orderbridge.placement import Record, SqliteJournal
from orderbridge.placement.states import stored
from orderbridge.screening import fingerprint
from tests.benchmarks.instant import NAME, NOW, limit_buy, shown

ROWS = 1_000_000
# In the template row; each stands in its row's body too, where the filling replaces it.
ID, KEY, CLIENT, ORDER = "TEMPLATE-ID", "TEMPLATE-KEY", "TEMPLATE-CLIENT", "TEMPLATE-ORDER"


def placement_id(number: int) -> str:
    """The id of one row: it begins with the time, as those that are made."""
    return f"{number:012x}{number * 2_654_435_761 % 2**48:012x}"


def key(number: int) -> str:
    """The caller's key of one row."""
    return f"strategy-{number % 97}/{number}"


def client_order_id(number: int) -> str:
    """The client order id of one row: sortable by time, as those that are minted."""
    return f"ob{number:024}"


def order_id(number: int) -> str:
    """The venue's id of one row's order."""
    return f"oid{number * 2_246_822_519 % 2**32:013x}"


async def fill(path: Path, *, rows: int = ROWS) -> None:
    """Make the file. What it holds was placed, and is over as far as recovery is concerned."""
    request = limit_buy(client_order_id=CLIENT)
    order = shown(request, ORDER)
    await _template(path, request, order)
    await asyncio.to_thread(_multiply, path, rows)


async def _template(path: Path, request: OrderRequest, order: Order) -> None:
    placement = Placement(
        placement_id=ID,
        gateway=NAME,
        key=KEY,
        request=request,
        client_order_id=CLIENT,
        state="placed",
        attempts=1,
        order=order,
        evidence=("reply",),
        created_at=NOW,
    )
    print_ = fingerprint(request, gateway=NAME, mode=None)
    record = Record(placement=placement, fingerprint=print_, owner="host:1:a", sent_at=NOW, not_after=NOW)
    journal = SqliteJournal(path)
    await journal.create(record)
    await journal.observe([order])
    await journal.aclose()
    assert stored(record).placement_id == ID


def _multiply(path: Path, rows: int) -> None:
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -400000")
        db.execute("BEGIN")
        db.execute("CREATE TEMP TABLE made (pid TEXT, key TEXT, cid TEXT, oid TEXT, n INTEGER)")
        ids = ((placement_id(n), key(n), client_order_id(n), order_id(n), n) for n in range(rows))
        db.executemany("INSERT INTO made VALUES (?, ?, ?, ?, ?)", ids)
        body = (
            f"replace(replace(replace(replace(t.body, '{ID}', pid), '{KEY}', m.key), '{CLIENT}', cid), '{ORDER}', oid)"
        )
        db.execute(
            "INSERT INTO placements SELECT pid, t.gateway, m.key, 1, cid, t.state, hex(n), t.created + n, n + 2, "
            f"{body} FROM made m, placements t WHERE t.placement_id = ? ORDER BY pid",
            (ID,),
        )
        db.execute("INSERT INTO events SELECT m.n + 2, NULL, t.at + m.n, t.body FROM made m, events t WHERE t.n = 1")
        db.execute(
            f"INSERT INTO orders SELECT t.gateway, oid, cid, 0, {body}, t.symbol, t.side "
            "FROM made m, orders t WHERE t.order_id = ? ORDER BY oid",
            (ORDER,),
        )
        for table, column, value in (
            ("placements", "placement_id", ID),
            ("events", "n", 1),
            ("orders", "order_id", ORDER),
        ):
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (value,))
        db.execute("COMMIT")
    db.close()
