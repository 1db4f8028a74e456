"""The caller's own ccxt object behind the face: what reads may be reached, and settings of no weight."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from ccxt.base import errors as ccxt

from orderbridge.errors import ConfigurationError

# What an exchange's own endpoint is called by: privateGetOrders, v2_private_post_order.
_ENDPOINT: Final = re.compile(r"(?:.+?_)??(get|post|put|delete|patch|head)(?:_.+)?")
_READS: Final = re.compile(r"(fetch|watch|un_watch|load|parse|parsed|safe|handle|is|has)_.+|nonce|describe")
# Of ccxt's own methods: those that write, those that other calls are sent by, and those that give a second object.
_WRITES: Final = re.compile(
    r"(create|edit|cancel|close|withdraw|transfer|borrow|repay|set|enable|disable|sign|lighter|redeem|amend|place)(_.+)?"
    r"|(add|reduce)_margin|request|fetch2?|fetch_rest|on_rest_response|clone|open|reset|before_connect"
)
WHERE: Final = frozenset(
    {
        *("apiKey", "secret", "password", "uid", "login", "token", "twofa", "privateKey", "walletAddress", "accountId"),
        *("urls", "api", "hostname", "isSandboxModeEnabled", "sandbox", "demo", "nonce"),
    }
)


def snake_case(name: str) -> str:
    """ccxt's other spelling of a name."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def may_write(rest_of: Any, name: str) -> bool:
    """True of a method of a ccxt object that may change something at the exchange, or make something that can."""
    known = snake_case(name)
    endpoint = _ENDPOINT.fullmatch(known)
    if any(hasattr(kind, name) for kind in type(rest_of).__mro__ if kind.__name__ == "Exchange"):
        return _WRITES.fullmatch(known) is not None
    if _READS.fullmatch(known):
        return False
    # An exchange's own: of its endpoints those that are read, of its methods those that are called reads.
    if endpoint is not None:
        return endpoint[1] != "get"
    return name not in vars(rest_of) or _WRITES.fullmatch(known) is not None


def check_kind(rest_of: Any, *, awaits: bool) -> None:
    """ConfigurationError: an object with `await` beside a face without it, or the reverse."""
    call = getattr(rest_of, "load_markets", None)
    if call is None or inspect.iscoroutinefunction(call) is awaits:
        return
    wanted = (
        "ccxt.async_support, as as_ccxt's calls are awaited" if awaits else "plain ccxt, as as_ccxt_sync has no await"
    )
    raise ConfigurationError(f"rest_of has to be an object of {wanted}")


def refuse_place(name: str, gateway: str) -> NoReturn:
    """NotSupported: what would move `rest_of` only, and leave the orders where they are."""
    raise ccxt.NotSupported(
        f"{name} is told to the gateway: orders go where {gateway} sends them, with its credentials. Make the bridge "
        f"over a gateway of that place (base_url=…, CcxtGateway: sandbox=True), and set up rest_of before it is given"
    )


class Fixed(dict[str, Any]):
    """A dict that is read only: what is set in ccxt's `urls` would not reach the orders."""

    def __init__(self, known: Mapping[str, Any], *, name: str, gateway: str) -> None:
        inner = {
            key: Fixed(each, name=name, gateway=gateway) if isinstance(each, Mapping) else each
            for key, each in known.items()
        }
        super().__init__(inner)
        self._name, self._gateway = name, gateway

    def _refuse(self, *args: Any, **more: Any) -> NoReturn:
        refuse_place(self._name, self._gateway)

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse
