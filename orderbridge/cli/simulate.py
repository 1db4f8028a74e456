"""`orderbridge simulate`: the simulated exchanges on ports of this machine."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of the simulated venue; 0 picks a free one.")]


def simulate(
    bitso: Port = 8101,
    bitcain: Port = 8102,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    yes_expose: Annotated[
        bool, typer.Option("--yes-expose", help="Really listen on an address that other machines can reach.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Fixes ids, chances and the counter-party's sizes.")] = 0,
    pacing: Annotated[bool, typer.Option(help="Count requests and lock out, as the real Bitso does.")] = True,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A knob, such as bitso.miss=0312 or bitcain.history=shadowed. May be repeated."),
    ] = None,
) -> None:
    """Simulate Bitso and Bitcain over HTTP until Ctrl-C. No real exchange, no real money, no keys."""
    from orderbridge.simulator.serve import NotExposed, serve

    try:
        asyncio.run(
            serve(
                bitso_port=bitso,
                bitcain_port=bitcain,
                host=host,
                yes_expose=yes_expose,
                seed=seed,
                pacing=pacing,
                settings=settings or (),
                announce=_say,
            )
        )
    except (NotExposed, ValueError, TypeError, OSError, ImportError) as error:
        _fail(str(error))


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()


def _fail(reason: str) -> None:
    typer.echo(f"orderbridge simulate: {reason}", err=True)
    raise typer.Exit(2)
