"""Every command of `orderbridge`: registered here, written in the files beside this one."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from orderbridge.cli.act import cancel, edit, place
from orderbridge.cli.journal import app as journal
from orderbridge.cli.journal import explain, recover
from orderbridge.cli.read import fills, lookup, open_orders, orders
from orderbridge.cli.simulate import demo, simulate

app = typer.Typer(
    help="Look orders up, place and follow them on several exchanges.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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


app.command()(lookup)
app.command()(demo)
app.command("open")(open_orders)
app.command()(orders)
app.command()(fills)
app.command()(place)
app.command()(explain)
app.command()(recover)
app.add_typer(journal, name="journal")
app.command()(cancel)
app.command()(edit)
app.command()(simulate)
