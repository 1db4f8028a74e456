"""
The HTTP face of the simulated Bitso: routes, authentication, envelope.

Paths are served below `/api/v3`, the historic `/v3` and `/api/v4`; the signature covers whichever was sent. A
trailing slash is accepted. A path that does not exist is 404 with code `0322`, a verb that a path lacks is
`0901` (400).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from orderbridge.simulator.bitso.auth import Keys
from orderbridge.simulator.bitso.call import Call
from orderbridge.simulator.bitso.errors import BitsoRefusal, error_body
from orderbridge.simulator.bitso.limits import Limits
from orderbridge.simulator.bitso.money import Money
from orderbridge.simulator.bitso.public import Public
from orderbridge.simulator.bitso.reads import Reads
from orderbridge.simulator.bitso.rules import Rules
from orderbridge.simulator.bitso.writes import Writes
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.faults import Fault
from orderbridge.simulator.message import Request, Response, json_response
from orderbridge.simulator.settings import BitsoSettings

Handler = Callable[[Call], Any]
# The accounts of the two keys: each has money and orders of its own.
ACCOUNT, SECOND_ACCOUNT = "bot", "mm"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a verb on a resource does. `rest` tells whether the path may go on after the resource's name."""

    operation: str
    handler: Handler
    private: bool = True
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint with the rest of the path, or the code of what is wrong with the path."""

    endpoint: Endpoint | None
    rest: list[str]
    wrong: str = ""


class BitsoApp:
    """Finds the endpoint, checks the signature, calls the handler, wraps the answer."""

    aliases: Mapping[str, str] = MappingProxyType({})

    def __init__(self, engine: Engine, settings: BitsoSettings, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._settings = settings
        self.keys = Keys()
        self._limits = Limits(settings, engine.clock)
        reads, public, money = Reads(engine, settings), Public(engine, settings), Money(engine)
        writes = Writes(engine, settings, Rules(engine, settings, new_id), reads)
        self._endpoints: dict[tuple[str, str], dict[str, Endpoint]] = {
            ("v3", "orders"): {
                "GET": Endpoint("lookup", reads.lookup, rest=True),
                "POST": Endpoint("place", writes.place),
                "DELETE": Endpoint("cancel", writes.cancel, rest=True),
                "PATCH": Endpoint("replace", writes.replace, rest=True),
            },
            ("v4", "orders"): {"PATCH": Endpoint("edit", writes.modify, rest=True)},
            ("v3", "open_orders"): {"GET": Endpoint("open_orders", reads.open_orders)},
            ("v3", "order_trades"): {"GET": Endpoint("order_trades", reads.order_trades, rest=True)},
            ("v3", "user_trades"): {"GET": Endpoint("user_trades", reads.user_trades, rest=True)},
            ("v3", "balance"): {"GET": Endpoint("balance", money.balance)},
            ("v3", "fees"): {"GET": Endpoint("fees", money.fees)},
            ("v3", "order_book"): {"GET": Endpoint("order_book", public.order_book, private=False)},
            ("v3", "trades"): {"GET": Endpoint("trades", public.trades, private=False)},
            ("v3", "ticker"): {"GET": Endpoint("ticker", public.ticker, private=False)},
            ("v3", "available_books"): {"GET": Endpoint("books", public.available_books, private=False)},
            ("v3", "catalogues"): {"GET": Endpoint("catalogues", public.catalogues, private=False)},
        }
        self.operations = frozenset(
            endpoint.operation for verbs in self._endpoints.values() for endpoint in verbs.values()
        )

    def route(self, request: Request) -> Route:
        parts = request.segments()
        if parts[0] == "api":
            parts = parts[1:]
        verbs = self._endpoints.get((parts[0], parts[1])) if len(parts) > 1 else None
        if verbs is None:
            return Route(None, [], "0322")
        endpoint = verbs.get(request.method)
        if endpoint is None:
            return Route(None, [], "0901")
        rest = parts[2:]
        return Route(None, [], "0322") if rest and not endpoint.rest else Route(endpoint, rest)

    def operation(self, route: Route) -> str:
        return route.endpoint.operation if route.endpoint else ""

    def answer(self, request: Request, route: Route, fault: Fault | None) -> Response:
        try:
            if route.endpoint is None:
                raise BitsoRefusal(route.wrong, status=404 if route.wrong == "0322" else None)
            self._engine.settlement.stop_locks = self._settings.stop_locks
            self._engine.set_liquidity(self._settings.liquidity)
            self._engine.tick()
            call = Call(request, route.rest, request.parameters(), self._engine.clock.now(), fault=fault)
            self._admit(call, route.endpoint)
            return json_response(200, {"success": True, "payload": route.endpoint.handler(call)})
        except BitsoRefusal as refusal:
            return self._refused(refusal, request.headers.get("accept-language", ""))

    def _admit(self, call: Call, endpoint: Endpoint) -> None:
        """Check the signature and count the request, by user or by address."""
        settings, request = self._settings, call.request
        if not endpoint.private:
            self._limits.count(request.peer, most=settings.public_per_minute, is_cancel=False)
            return
        secrets = {settings.second_key: settings.second_secret, settings.api_key: settings.api_secret}
        key = self.keys.check(request, secrets=secrets)
        call.account = ACCOUNT if key == settings.api_key else SECOND_ACCOUNT
        is_cancel = endpoint.operation == "cancel"
        self._limits.count(call.account, most=settings.private_per_minute, is_cancel=is_cancel)

    def broken(self, fault: Fault) -> Response:
        headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
        code, status = {
            "throttle": ("0801", 420),
            "wrong_nonce": ("0207", 401),
            "not_success": ("1002", 200),
            "accept_then_5xx": ("0101", 502),
        }.get(fault.kind, ("0101", 503))
        return json_response(fault.status or status, self._error(code), headers)

    def _refused(self, refusal: BitsoRefusal, languages: str) -> Response:
        language = languages.partition(",")[0].strip().partition("-")[0].lower()
        body = self._error(refusal.code, about=refusal.about, language=language)
        return json_response(refusal.status, body)

    def _error(self, code: str, *, about: str = "", language: str = "") -> dict[str, Any]:
        if language not in ("en", "es"):
            language = self._settings.language
        return error_body(code, about=about, language=language, style=self._settings.error_style)
