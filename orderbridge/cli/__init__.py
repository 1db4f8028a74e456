"""The command `orderbridge`: arguments in, tables out, no logic."""

import gc
import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line, or say how to install it."""
    missing = [name for name in ("typer", "rich") if find_spec(name) is None]
    if missing:
        sys.exit("The orderbridge command needs its extra: pip install 'orderbridge[cli]'")
    # What is loaded stays: to look through it for garbage, again and again, is a twelfth of a short command.
    gc.set_threshold(100_000)
    from orderbridge.cli.app import app

    app()
