"""
Takes the orders of ccxt's own classes over as their modules are imported: in a program, and in the processes it starts.

Python imports a `sitecustomize` from `PYTHONPATH` before anything else, so that this file reaches every child. It is
loaded by children that never import ccxt too, so it imports the standard library alone.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Final

_HERE: Final = os.path.dirname(os.path.abspath(__file__))
_EXCHANGE: Final = re.compile(r"ccxt(?:\.async_support|\.pro)?\.(\w+)")


class TakesOver:
    """A finder that has ccxt's modules loaded as ever, and then their classes patched."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of an exchange's module; None for every other."""
        named = _EXCHANGE.fullmatch(name)
        spec = PathFinder.find_spec(name, path, target) if named else None
        if named is None or spec is None or spec.loader is None:
            return None
        run, leaf = spec.loader.exec_module, named[1]

        def exec_module(module: ModuleType) -> None:
            run(module)
            if isinstance(vars(module).get(leaf), type):
                patched(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def patched(module: ModuleType) -> None:
    """Patch the class of an exchange's module."""
    from orderbridge.ccxt.classes import patch

    patch(module)


def install() -> None:
    """Have ccxt's classes patched: those that are loaded, and those to come."""
    sys.meta_path.insert(0, TakesOver())
    for name in [name for name in sys.modules if _EXCHANGE.fullmatch(name)]:
        patched(sys.modules[name])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([_HERE, *(path for path in paths if path and path != _HERE)])


def _run_next() -> None:
    """Run the `sitecustomize` that stands behind this one, if any: it would have run without us."""
    behind = [path for path in sys.path if os.path.abspath(path) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", behind)
    if spec is not None and spec.loader is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    if find_spec("orderbridge") is None:
        sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(_HERE))))
    install()
    _run_next()
