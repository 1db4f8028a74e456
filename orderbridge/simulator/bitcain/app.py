"""
The HTTP face of the simulated Bitcain: routes, bearer tokens, validation.

The order of checks is the framework's: route (404, 405), JSON of the body (422), bearer (401), then
everything that is wrong with path, query and body in one 422.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.bitcain import validation as v
from orderbridge.simulator.bitcain.auth import Tokens
from orderbridge.simulator.bitcain.errors import BitcainRefusal, invalid
from orderbridge.simulator.bitcain.markets import CURRENCIES, FUNDS
from orderbridge.simulator.bitcain.reads import Reads
from orderbridge.simulator.bitcain.writes import Writes
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.faults import Fault
from orderbridge.simulator.message import Request, Response, json_response
from orderbridge.simulator.settings import BitcainSettings

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class Call:
    """A request with what its path says, its decoded body and its account."""

    request: Request
    order_id: str
    fault: Fault | None
    body: Any = v.NOTHING
    account: str = ""


Handler = Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, or the refusal that stands in its place."""

    operation: str
    handler: Handler | None = None
    order_id: str = ""
    private: bool = True
    refusal: BitcainRefusal | None = None


class BitcainApp:
    """Finds the operation, checks the token, validates, calls, answers."""

    aliases: Mapping[str, str] = MappingProxyType({"open_orders": "list", "orders": "list", "get": "lookup"})

    def __init__(
        self,
        engines: dict[str, Engine],
        settings: BitcainSettings,
        *,
        clock: SimClock,
        rng: Random,
        new_id: Callable[[], str],
    ) -> None:
        self._engines = engines
        self._settings = settings
        self.tokens = Tokens(settings, clock=clock, rng=rng)
        self._reads = Reads(engines, settings, clock.now)
        self._writes = Writes(engines, settings, self._reads, clock=clock, new_id=new_id)
        self._plain: dict[str, dict[str, Route]] = {
            "auth/login": {"POST": Route("login", self._login, private=False)},
            "auth/refresh": {"POST": Route("refresh", self._refresh, private=False)},
            "auth/signup": {"POST": Route("signup", self._signup, private=False)},
            "api/v1/orders": {"GET": Route("list", self._list), "POST": Route("place", self._create)},
            "api/v1/orders/history": {"GET": Route("history", self._history)},
        }
        self._by_id: dict[str, dict[str, tuple[str, Handler]]] = {
            "": {
                "GET": ("lookup", self._get),
                "PATCH": ("edit", self._update),
                "DELETE": ("cancel", self._cancel),
            },
            "retry": {"POST": ("retry", self._retry)},
        }
        self.operations = frozenset(
            {route.operation for verbs in self._plain.values() for route in verbs.values()}
            | {operation for verbs in self._by_id.values() for operation, _ in verbs.values()}
        )

    def route(self, request: Request) -> Route:
        parts = request.segments()
        path = "/".join(parts)
        if path == "api/v1/orders/history" and self._settings.history == "shadowed":
            return Route("lookup", self._get, order_id="history")
        if path in self._plain:
            verbs = self._plain[path]
            return verbs.get(request.method) or _not_allowed(list(verbs))
        if parts[:3] == ["api", "v1", "orders"] and len(parts) in (4, 5):
            by_verb = self._by_id.get("" if len(parts) == 4 else parts[4])
            if by_verb is not None:
                if request.method not in by_verb:
                    return _not_allowed(list(by_verb))
                operation, handler = by_verb[request.method]
                return Route(operation, handler, order_id=parts[3])
        return Route("", refusal=BitcainRefusal(404, "Not Found"))

    def operation(self, route: Route) -> str:
        return route.operation

    def answer(self, request: Request, route: Route, fault: Fault | None) -> Response:
        try:
            if route.handler is None:
                raise route.refusal or BitcainRefusal(404, "Not Found")
            for engine in self._engines.values():
                engine.set_liquidity(self._settings.liquidity)
                engine.tick()
            call = Call(request, route.order_id, fault)
            if request.method in ("POST", "PATCH") and route.operation != "retry":
                call.body = v.read_body(request)
            if route.private:
                call.account = self.tokens.account(request)
            return route.handler(call)
        except BitcainRefusal as refusal:
            return refusal.response()

    def broken(self, fault: Fault) -> Response:
        match fault.kind:
            case "throttle":
                headers = {"retry-after": str(1 if fault.retry_after is None else fault.retry_after)}
                return json_response(fault.status or 429, {"detail": "Too Many Requests"}, headers)
            case "wrong_nonce":
                return BitcainRefusal(fault.status or 401, "Invalid or expired token").response()
            case "not_success":
                return json_response(fault.status or 200, {"success": False, "error": "Internal error"})
            case "accept_then_5xx":
                return Response(fault.status or 502, b"Internal Server Error", "text/plain; charset=utf-8")
        return json_response(fault.status or 503, {"detail": "Service Unavailable"})

    # Operations.

    def _get(self, call: Call) -> Response:
        return json_response(200, self._reads.get(call.account, self._path(call), call.fault))

    def _list(self, call: Call) -> Response:
        query = self._list_query(v.ListQuery, call)
        return json_response(200, self._reads.list_orders(call.account, query, call.fault))

    def _history(self, call: Call) -> Response:
        query = self._list_query(v.HistoryQuery, call)
        return json_response(200, self._reads.history(call.account, query, call.fault))

    def _list_query(self, model: type[M], call: Call) -> M:
        """The query, checked as one: an unknown status is a fault among the others, in the parameters' order."""
        faults: list[dict[str, Any]] = []
        given = call.request.parameters()
        query = v.checked(model, given, "query", faults)
        faults += self._reads.status_faults(given.get("order_status"))
        if query is None or faults:
            order = list(model.model_fields)
            raise invalid(*sorted(faults, key=lambda fault: order.index(fault["loc"][1])))
        return query

    def _create(self, call: Call) -> Response:
        faults: list[dict[str, Any]] = []
        query = v.checked(v.CreateQuery, call.request.parameters(), "query", faults)
        body = v.checked(v.CreateBody, call.body, "body", faults)
        if query is None or body is None:
            raise invalid(*faults)
        return json_response(*self._writes.create(call.account, query, body, call.fault))

    def _update(self, call: Call) -> Response:
        faults: list[dict[str, Any]] = []
        path = v.checked(v.OrderPath, {"order_id": call.order_id}, "path", faults)
        body = v.checked(v.UpdateBody, call.body, "body", faults)
        if path is None or body is None:
            raise invalid(*faults)
        return json_response(200, self._writes.update(call.account, str(path.order_id), body, call.fault))

    def _cancel(self, call: Call) -> Response:
        return json_response(200, self._writes.cancel(call.account, self._path(call), call.fault))

    def _retry(self, call: Call) -> Response:
        return json_response(200, self._writes.retry(call.account, self._path(call), call.fault))

    def _login(self, call: Call) -> Response:
        return json_response(200, self.tokens.login(_body(v.LoginBody, call)))

    def _refresh(self, call: Call) -> Response:
        return json_response(200, self.tokens.refresh(_body(v.RefreshBody, call)))

    def _signup(self, call: Call) -> Response:
        answer, account = self.tokens.signup(_body(v.SignupBody, call))
        for engine in self._engines.values():
            for currency in CURRENCIES:
                engine.accounts.deposit(account, currency, FUNDS)
        return json_response(200, answer)

    def _path(self, call: Call) -> str:
        faults: list[dict[str, Any]] = []
        path = v.checked(v.OrderPath, {"order_id": call.order_id}, "path", faults)
        if path is None:
            raise invalid(*faults)
        return str(path.order_id)


def _body(model: type[M], call: Call) -> M:
    faults: list[dict[str, Any]] = []
    found = v.checked(model, call.body, "body", faults)
    if found is None:
        raise invalid(*faults)
    return found


def _not_allowed(verbs: list[str]) -> Route:
    return Route("", refusal=BitcainRefusal(405, "Method Not Allowed", {"allow": ", ".join(verbs)}))
