"""Placing at most once: the journal, and what stands on it."""

from orderbridge.placement.journal import Journal, MemoryJournal
from orderbridge.placement.sqlite import SqliteJournal
from orderbridge.placement.states import Event, Happened, Record

__all__ = ["Event", "Happened", "Journal", "MemoryJournal", "Record", "SqliteJournal"]
