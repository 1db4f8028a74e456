"""The face without `await`: the same calls over one event loop in a thread."""

from __future__ import annotations

import inspect
from functools import partial, wraps
from types import TracebackType
from typing import Any, Self

from orderbridge.bridge import OrderBridge
from orderbridge.ccxt_face.errors import as_ccxt_errors
from orderbridge.ccxt_face.exchange import CcxtFace
from orderbridge.sync import LoopThread, SyncBridge


class SyncCcxtFace:
    """
    `CcxtFace` for programs that are not asynchronous; made by `as_ccxt_sync`. See there for what its calls do.

    It may be used from several threads; close it, or use `with`.
    """

    def __init__(self, bridge: OrderBridge | SyncBridge, gateway: str, *, rest_of: Any, **settings: Any) -> None:
        inner = bridge._bridge if isinstance(bridge, SyncBridge) else bridge
        self._face = CcxtFace(inner, gateway, rest_of=rest_of, rest_awaits=False, **settings)
        self._loop = bridge._loop if isinstance(bridge, SyncBridge) else LoopThread()
        self._owns = settings["owns"]

    def close(self) -> None:
        """Close the bridge, its loop and `rest_of`, unless it was made with `owns=False`."""
        if self._owns:
            self._loop.close(self._face.close)

    def __enter__(self) -> Self:
        self._loop.call(self._face.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        attribute = getattr(self._face, name)
        if inspect.iscoroutinefunction(attribute) and inspect.ismethod(attribute) and attribute.__self__ is self._face:
            return self._without_await(attribute)
        return attribute

    def _without_await(self, call: Any) -> Any:
        @wraps(call)
        def called(*args: Any, **more: Any) -> Any:
            # Interrupted here (by a signal, say), it is cancelled there: a create is then remembered.
            with as_ccxt_errors():
                return self._loop.call(partial(call, *args, **more))

        return called

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._face, name, value)

    def __repr__(self) -> str:
        return f"Sync{self._face!r}"
