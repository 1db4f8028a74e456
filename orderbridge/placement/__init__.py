"""Placing at most once: the journal, and what stands on it."""

from typing import TYPE_CHECKING, Any

from orderbridge.placement.journal import Journal, MemoryJournal
from orderbridge.placement.states import Event, Happened, Record

if TYPE_CHECKING:
    from orderbridge.placement.sqlite import SqliteJournal

__all__ = ["Event", "Happened", "Journal", "MemoryJournal", "Record", "SqliteJournal"]


def __getattr__(name: str) -> Any:
    # A bridge that keeps no journal loads no SQLite.
    if name != "SqliteJournal":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orderbridge.placement.sqlite import SqliteJournal

    return SqliteJournal


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "Any"})
