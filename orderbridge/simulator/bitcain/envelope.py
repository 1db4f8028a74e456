"""How the simulated Bitcain wraps its answers: one order, or a list of them."""

from typing import Any

from orderbridge.simulator.settings import BitcainSettings

Row = dict[str, Any]


def single(row: Row, message: str, settings: BitcainSettings) -> Row:
    """One order."""
    match settings.envelope:
        case "bare":
            return row
        case "data":
            return {"data": row}
        case "success_data":
            return {"success": True, "data": {"order": row}}
    return {"success": True, "order": row, "message": message}


def many(rows: list[Row], paging: Row, settings: BitcainSettings) -> Row:
    """A list; `paging` are the fields beside it, which a bare envelope does without."""
    match settings.envelope:
        case "bare":
            return {"orders": rows}
        case "data":
            return {"data": rows, **paging}
        case "success_data":
            return {"success": True, "data": {"orders": rows, **paging}}
        case "items":
            return {"items": rows, **paging}
    return {"success": True, "orders": rows, **paging}
