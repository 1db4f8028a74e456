"""Every command of `orderbridge`, with its line of the help; what it takes and does is in the files beside this one."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

# Where each is written, and the first sentence of what it says of itself.
COMMANDS: Final = {
    "lookup": ("read.lookup", "Tell what became of orders, by any of their ids."),
    "demo": ("simulate.demo", "Look a dozen orders up on two simulated exchanges, one of which goes down."),
    "open": ("read.open_orders", "List the open orders of every gateway."),
    "orders": ("read.orders", "List the orders created in a time, of the gateways that keep a history."),
    "fills": ("read.fills", "List the executions of one order, or of the accounts that tell them."),
    "place": ("act.place", "Place one order at most once, after asking: it is in the journal before it is sent."),
    "explain": ("journal.explain", "Tell how a placement came to be as it is, line by line, from the journal alone."),
    "recover": ("journal.recover", "Settle what was under way when a bot ended, and tell what was found."),
    "cancel": ("act.cancel", "Cancel orders, and print each as it is after that: perhaps filled."),
    "edit": ("act.edit", "Change a working order in place, after asking, and print it as it is after that."),
    "simulate": ("simulate.simulate", "Simulate Bitso and Bitcain over HTTP until Ctrl-C."),
    "journal": ("journal.app", "See what stands in the journal, check it, and decide what no proof could."),
}

_PLAINLY: Final[dict[str, Any]] = {"add_completion": False, "pretty_exceptions_enable": False}
app = typer.Typer(help="Look orders up, place and follow them on several exchanges.", no_args_is_help=True, **_PLAINLY)


@app.callback()
def _options(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Log to stderr: -v warnings, -vv every request.")
    ] = 0,
) -> None:
    level = (logging.ERROR, logging.WARNING, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("orderbridge").setLevel(level)


class _Loaded(TyperCommand):
    """A command of the list, which loads what it needs when it is called: the help of all of them needs none of it."""

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> Any:
        assert self.name is not None
        module, _, name = COMMANDS[self.name][0].partition(".")
        written = getattr(import_module(f"orderbridge.cli.{module}"), name)
        if not isinstance(written, typer.Typer):
            alone = typer.Typer(**_PLAINLY)
            alone.command(self.name)(written)
            written = alone
        return typer.main.get_command(written).make_context(info_name, args, *more, **extra)


for _name, (_, _help) in COMMANDS.items():
    app.command(_name, help=_help, cls=_Loaded)(lambda: None)
