"""Every command of `orderbridge`, and how its errors end."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from orderbridge.cli.simulate import simulate
from orderbridge.cli.tables import console, lookup_json, print_lookup
from orderbridge.errors import OrderBridgeError
from orderbridge.model.lookup import LookupResult
from orderbridge.registry import connect

app = typer.Typer(
    help="Look orders up, place and follow them on several exchanges.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file; by default orderbridge.toml here or in the user's config folder."),
]
Gateways = Annotated[
    list[str] | None,
    typer.Option("--gateway", "-g", help="Ask this gateway only (bitso, bitso/mm …). May be repeated."),
]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds for all gateways together.", min=0.1)]
Json = Annotated[bool, typer.Option("--json", help="Print the models as JSON.")]


@app.callback()
def _commands(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Log to stderr: -v warnings, -vv every request.")
    ] = 0,
) -> None:
    """Look orders up, place and follow them on several exchanges."""
    level = (logging.ERROR, logging.WARNING, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("orderbridge").setLevel(level)


@app.command()
def lookup(
    ids: Annotated[list[str], typer.Argument(help="x, bitso:x, bitso/mm:x or bitso:client:x", metavar="ID...")],
    gateways: Gateways = None,
    timeout: Timeout = 10.0,
    json: Json = False,
    config: Config = None,
) -> None:
    """Tell what became of orders, by any of their ids. Exits 0 when all were found, 1 when not, 2 on an error."""

    async def run() -> LookupResult:
        async with connect(*(gateways or ()), settings=config) as bridge:
            return await bridge.lookup(*ids, timeout=timeout)

    result = _run(run())
    if json:
        typer.echo(lookup_json(result))
    else:
        print_lookup(result, title="Look-up")
    sys.exit(0 if all(found.orders for found in result.found) else 1)


@app.command()
def demo() -> None:
    """Look a dozen orders up on two simulated exchanges, one of which goes down. Needs no keys."""
    from orderbridge.cli.demo import run_demo

    sys.exit(0 if _run(run_demo()) else 1)


app.command()(simulate)


def _run(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(call)
    except OrderBridgeError as error:
        console(stderr=True).print(f"{type(error).__name__}: {error}", style="red", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
