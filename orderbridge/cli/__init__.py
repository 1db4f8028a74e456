"""The command `orderbridge`: arguments in, tables out, no logic."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line, or say how to install it."""
    missing = [name for name in ("typer", "rich") if find_spec(name) is None]
    if missing:
        sys.exit("The orderbridge command needs its extra: pip install 'orderbridge[cli]'")
    from orderbridge.cli.app import app

    app()
