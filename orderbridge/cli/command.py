"""The frame of every command: its options, the bridge that they make, its question, and how it ends in one line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

import typer

from orderbridge.bridge import OrderBridge
from orderbridge.cli.tables import say
from orderbridge.errors import ConfigurationError, NotSent, NotSupported, OrderBridgeError, OrderDenied, OutcomeUnknown
from orderbridge.gateway import OrderGateway
from orderbridge.http.transport import is_loopback
from orderbridge.settings import Settings, connect, load_settings

T = TypeVar("T")
_INTERRUPTED: Final = 130  # as shells have it: 128 and the number of SIGINT
_MONEY: Final[Mapping[str | None, str]] = {
    "paper": "paper, no real money",
    "sandbox": "paper, no real money",
    "live": "LIVE, real money",
    None: "paper or live is not known: take it as LIVE",
}
# What a time may be, as the help of its option goes on.
TIME: Final = "an ISO date (its midnight) or date-time; without a zone it is UTC."

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file; by default orderbridge.toml in the user's config folder."),
]
Gateways = Annotated[
    list[str] | None,
    typer.Option("--gateway", "-g", help="Ask this gateway only (bitso, bitso/mm …). May be repeated."),
]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds for all gateways together.", min=0.1)]
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


def run(call: Coroutine[Any, Any, T], bridge: OrderBridge | None = None, *, acts: bool = False) -> T:
    """
    Enter the loop, once, and close the bridge; an error of ours ends the command in one line.

    Args:
        acts: it is no mere reading, and what is interrupted may have been done.
    """

    async def work() -> T:
        try:
            return await call
        finally:
            if bridge is not None:
                await bridge.aclose()

    try:
        return asyncio.run(work())
    except OrderBridgeError as error:
        end(told(error), exit_of(error))
    except KeyboardInterrupt:
        if acts:
            end("Interrupted: what was sent may have been done. Look the orders up.", Exit.UNKNOWN)
        sys.exit(_INTERRUPTED)


def checked(make: Callable[[], T]) -> T:
    """Build with `make` of the arguments; what is wrong with them ends the command in one line."""
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


def used_settings(config: Path | None) -> Settings:
    """The settings, once it is said on stderr where they are from; what is wrong with them ends the command."""
    settings = checked(lambda: load_settings(config))
    note(f"Settings from {settings.file or 'the environment; there is no settings file'}.")
    if settings.notice:
        warn(settings.notice)
    return settings


def connected(names: Iterable[str] | None, settings: Settings, *, journal: Path | None = None) -> OrderBridge:
    """
    A bridge over these gateways, or all of the settings, once it is said on stderr at which addresses; what is wrong
    with them ends the command.
    """
    bridge = checked(lambda: connect(*(names or ()), settings=settings, journal=journal))
    places = [f"{name} at {bridge[name].address or 'an address that it does not tell'}" for name in bridge.names]
    note(f"Connects to {', '.join(places)}.")
    return bridge


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


def at_terminal() -> bool:
    """True if somebody is there to be asked."""
    return sys.stdin.isatty()


def confirm(lines: Iterable[str], question: str, *, yes: bool) -> None:
    """
    Say on stderr what is about to be done, and go on only if the answer is yes.

    Without a terminal and without `--yes` the command ends as wrongly used; at any other answer as not sent.
    """
    note(*lines)
    if yes:
        return
    if not at_terminal():
        end("Nothing was sent: this asks first, and there is no terminal to ask at; --yes skips it.", Exit.WRONG)
    # Not typer.confirm: it writes to stdout too, which is for the answer to the command alone.
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer.endswith("\n"):
        typer.echo(err=True)
    if answer.strip().lower() not in {"y", "yes"}:
        end("Nothing was sent.", Exit.NOT_SENT)


def destination(gateway: OrderGateway) -> str:
    """Where a gateway's orders go, and whether that is real money."""
    host = f" at {urlsplit(gateway.address).netloc}" if gateway.address else ""
    return f"{gateway.venue}, account {gateway.account},{host}: {money(gateway.address, gateway.mode)}"


def money(address: str | None, mode: str | None) -> str:
    """Real money or paper at an address, in words; what is not known is taken for real."""
    if mode in ("live", None) and address and is_loopback(urlsplit(address).hostname or ""):
        return "this machine, as a simulator is; real money only if something here passes orders on"
    return _MONEY.get(mode, _MONEY[None])
