"""What every command shares: its options, its exit codes, and how it ends in one line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer

from orderbridge.bridge import OrderBridge
from orderbridge.cli.tables import say
from orderbridge.errors import ConfigurationError, NotSent, NotSupported, OrderBridgeError, OrderDenied, OutcomeUnknown
from orderbridge.registry import connect
from orderbridge.settings import Settings, load_settings

T = TypeVar("T")
_INTERRUPTED: Final = 130  # as shells have it: 128 and the number of SIGINT

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file; by default orderbridge.toml in the user's config folder."),
]
Gateways = Annotated[
    list[str] | None,
    typer.Option("--gateway", "-g", help="Ask this gateway only (bitso, bitso/mm …). May be repeated."),
]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds for all gateways together.", min=0.1)]
PageTimeout = Annotated[float, typer.Option("--timeout", help="Seconds for each page of an answer.", min=0.1)]
Json = Annotated[bool, typer.Option("--json", help="Print the models as JSON.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print the models as JSON, one in each line.")]
OfSymbol = Annotated[str | None, typer.Option("--symbol", help="Of this pair only, as in BTC/MXN.")]
Journal = Annotated[
    Path | None, typer.Option("--journal", help="The journal's file; by default journal.path of the settings.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


class Exit(IntEnum):
    """How a command ends; scripts branch on it."""

    DONE = 0
    NOT_ALL = 1  # not found, not reached, refused by the venue, or not over yet
    WRONG = 2  # settings or arguments; nothing was sent
    UNKNOWN = 3  # sent, and the outcome is not known
    NOT_SENT = 4  # nothing was sent, by the network's fault or by the answer to the question


def exit_of(error: OrderBridgeError) -> Exit:
    """The exit code that an error stands for."""
    match error:
        case ConfigurationError() | OrderDenied() | NotSupported():
            return Exit.WRONG
        case OutcomeUnknown():
            return Exit.UNKNOWN
        case NotSent():
            return Exit.NOT_SENT
        case _:
            return Exit.NOT_ALL


def run(call: Coroutine[Any, Any, T], *, acts: bool = False) -> T:
    """Enter the loop, once; an error of ours ends the command in one line. `acts`: it is no mere reading."""
    try:
        return asyncio.run(call)
    except OrderBridgeError as error:
        end(told(error), exit_of(error))
    except KeyboardInterrupt:
        if acts:
            end("Interrupted: what was sent may have been done. Look the orders up.", Exit.UNKNOWN)
        sys.exit(_INTERRUPTED)


def checked(make: Callable[[], T]) -> T:
    """What `make` builds of the arguments; what is wrong with them ends the command in one line."""
    try:
        return make()
    except OrderBridgeError as error:
        end(told(error), exit_of(error))


def told(error: OrderBridgeError) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}"


def end(line: str, code: Exit, *more: str) -> NoReturn:
    """Say a line on stderr, and what more there is in lines of their own, and end."""
    warn(line, *more, style="red")
    sys.exit(code)


def note(*lines: str) -> None:
    """Say on stderr what a command uses or does."""
    warn(*lines, style="")


def warn(*lines: str, style: str = "yellow") -> None:
    """Say lines on stderr."""
    say(*lines, stderr=True, style=style)


def connected(*names: str, settings: Settings, journal: Path | None = None) -> OrderBridge:
    """A bridge, once it is said on stderr which gateways it has and at which addresses."""
    bridge = connect(*names, settings=settings, journal=journal)
    places = [f"{name} at {bridge[name].address or 'an address that it does not tell'}" for name in bridge.names]
    note(f"Connects to {', '.join(places)}.")
    return bridge


def used_settings(config: Path | None) -> Settings:
    """The settings, once it is said on stderr where they are from; what is wrong with them ends the command."""
    settings = checked(lambda: load_settings(config))
    note(f"Settings from {settings.file or 'the environment; there is no settings file'}.")
    if settings.notice:
        warn(settings.notice)
    return settings


def journal_path(given: Path | None, settings: Settings | Path | None) -> Path:
    """The journal's file, from the option or the settings; without one the command ends in one line."""
    if given is not None:
        return given
    path = (settings if isinstance(settings, Settings) else used_settings(settings)).journal_path
    if path is None:
        end("no journal: give --journal PATH, or journal.path in the settings file", Exit.WRONG)
    note(f"Journal {path}.")
    return path


def moment(text: str | None, option: str) -> datetime | None:
    """A time from an option: an ISO date or date-time; without a zone it is UTC, and a date is its midnight."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text.strip())
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        end(f"{option}: {text!r} is no time; write it as 2026-01-31 or 2026-01-31T12:00:00Z", Exit.WRONG)
