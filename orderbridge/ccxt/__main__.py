"""
Runs a program that imports ccxt, with the orders of ccxt's own classes taken over, in the processes it starts too.

    python -m orderbridge.ccxt bot.py --its --own arguments
    python -m orderbridge.ccxt -m package.module arguments

The classes are patched in place, since one that was merely replaced in ccxt's modules would be missed by a deep import,
and by children. A journal is named by `ORDERBRIDGE_JOURNAL`.
"""

import os
import runpy
import sys
from collections.abc import Sequence

from orderbridge.ccxt.children import sitecustomize


def main(arguments: Sequence[str]) -> int:
    """Run the program that is named; its own exit code is raised."""
    if not arguments or (arguments[0] in {"-h", "--help", "-m"} and len(arguments) < 2):
        sys.stderr.write("usage: python -m orderbridge.ccxt (PROGRAM | -m MODULE) [ARGUMENTS]\n")
        return 2
    sitecustomize.install()
    if arguments[0] == "-m":
        sys.argv[:] = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
