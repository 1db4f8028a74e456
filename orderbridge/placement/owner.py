"""Who works on a placement: a name for a process, by which another can tell that it is gone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
_SEPARATOR: Final = ":"


class _Process(NamedTuple):
    """
    A process as its owner name tells it.

    Attributes:
        realm: one running kernel and one numbering of processes in it. Empty where neither can be told: then
            nothing is ever concluded from a number.
        started: in the kernel's ticks, so that a number that was given out again is another process.
    """

    realm: str
    number: int
    started: str


def owner_name() -> str:
    """A name for one bridge's work on placements: where it runs, its process, and a word of its own."""
    number = os.getpid()
    return _SEPARATOR.join([_realm(), str(number), _started(number) or "", secrets.token_hex(4)])


def is_gone(owner: str) -> bool:
    """Whether the process of an owner has certainly ended. False also means: it cannot be told from here."""
    process = _parsed(owner)
    if process is None or not process.realm or not process.started or process.realm != _realm():
        return False
    return _started(process.number) != process.started


def kernel() -> str:
    """The running kernel whose `time.monotonic` counts here; empty where that cannot be told."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}@{os.readlink(_PROC / 'self/ns/time').strip('time:[]')}"
    except OSError:
        return ""


def _parsed(owner: str) -> _Process | None:
    parts = owner.split(_SEPARATOR)
    if len(parts) != 4 or not parts[1].isascii() or not parts[1].isdigit():
        return None
    return _Process(parts[0], int(parts[1]), parts[2])


def _realm() -> str:
    # A container may give every one of its lives the same host name and process number; the kernel's boot id and
    # the namespace of the numbers tell them apart.
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}@{os.readlink(_PROC / 'self/ns/pid').strip('pid:[]')}"
    except OSError:
        return ""


def _started(number: int) -> str | None:
    try:
        stat = (_PROC / str(number) / "stat").read_text()
    except OSError:
        return None
    # The name of the program is in brackets and may hold anything; what follows is in columns. 22 is the start.
    after_name = stat.rpartition(")")[2].split()
    return None if after_name[0] in {"Z", "X"} else after_name[19]
