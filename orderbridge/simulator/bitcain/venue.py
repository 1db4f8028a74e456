"""
The simulated Bitcain as tests and bots hold it, and its HTTP face: routes, bearer tokens, validation.

The order of checks is the framework's: route (404, 405), JSON of the body (422), bearer (401), then
everything that is wrong with path, query and body in one 422.
"""

from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Unpack
from uuid import UUID

from orderbridge.simulator.basics import Amount, SimClock
from orderbridge.simulator.bitcain import mapping
from orderbridge.simulator.bitcain.auth import LoginBody, RefreshBody, Tokens
from orderbridge.simulator.bitcain.mapping import BitcainRefusal, Row
from orderbridge.simulator.bitcain.trading import MODES, BitcainOrders
from orderbridge.simulator.engine.engine import NotEnough
from orderbridge.simulator.engine.money import Balance
from orderbridge.simulator.engine.order import SimOrder
from orderbridge.simulator.faults import Fault
from orderbridge.simulator.message import Response, json_response
from orderbridge.simulator.putting import STATES, MarketHandle, Moment, Put, PutWords, put
from orderbridge.simulator.settings import BitcainSettings
from orderbridge.simulator.venue import LOOPBACK, Endpoint, SimCall, SimRefusal, Venue

if TYPE_CHECKING:
    from orderbridge.gateway import OrderGateway

ACCOUNT = "bot"
ORDERS = "api/v1/orders"
HISTORY = f"{ORDERS}/history"
ONE = f"{ORDERS}/{{order_id}}"


class BitcainPut(Put, total=False):
    """See `SimBitcain.put`."""

    id: str | None
    exchange_order_id: str | None
    portfolio_id: str | None
    exchange: str
    trading_mode: str
    remaining_quantity: Amount | None
    expires_at: Moment | None
    reduce_only: bool
    source: str
    agent_id: str | None
    error_message: str | None
    retry_count: int


_PUT: Final = PutWords(
    keywords=BitcainPut.__optional_keys__,
    names={"id": "order_id"},
    statuses=frozenset(STATES),
    queued=frozenset({"pending", "accepted", "queued"}),
)
_PRICED: Final = frozenset({"limit", "stop_limit", "iceberg", "oco"})
_FACTS: Final = ("exchange_order_id", "portfolio_id", "reduce_only", "source", "agent_id", "retry_count")


class SimBitcain(Venue):
    """A simulated Bitcain account, with paper and live books apart: its engines are `paper` and `live`."""

    name = "Bitcain"
    books = MODES
    instruments, currencies = mapping.MARKETS, mapping.CURRENCIES
    accounts = (ACCOUNT,)
    aliases = MappingProxyType({"open_orders": "list", "orders": "list", "get": "lookup"})
    settings: BitcainSettings

    def __init__(
        self, settings: BitcainSettings, *, clock: SimClock, rng: Random, port: int = 0, host: str = LOOPBACK
    ) -> None:
        super().__init__(settings, clock=clock, rng=rng, port=port, host=host)
        self._tokens = Tokens(settings, clock=clock, rng=Random(rng.random()))
        orders = BitcainOrders(self.engines, settings, self.new_id)
        self._routes = {
            "auth/login": {"POST": Endpoint("login", self._tokens.login, private=False, body=LoginBody)},
            "auth/refresh": {"POST": Endpoint("refresh", self._tokens.refresh, private=False, body=RefreshBody)},
            ORDERS: {
                "GET": Endpoint("list", orders.list_orders, query=mapping.ListQuery),
                "POST": Endpoint("place", orders.create, query=mapping.CreateQuery, body=mapping.CreateBody),
            },
            HISTORY: {"GET": Endpoint("history", orders.history, query=mapping.HistoryQuery)},
            ONE: {
                "GET": Endpoint("lookup", orders.get, rest=True),
                "PATCH": Endpoint("edit", orders.update, rest=True, body=mapping.UpdateBody),
                "DELETE": Endpoint("cancel", orders.cancel, rest=True),
            },
            f"{ONE}/retry": {"POST": Endpoint("retry", orders.retry, rest=True)},
        }

    @property
    def base_url(self) -> str:
        """
        The origin, `http://127.0.0.1:PORT`: order paths begin with `/api/v1`, log-in paths with `/auth`.
        """
        return self.origin

    @property
    def email(self) -> str:
        """The address with which to log in."""
        return self.settings.email

    @property
    def password(self) -> str:
        """Its password."""
        return self.settings.password

    @property
    def token(self) -> str:
        """A bearer token that works without log-in and does not expire."""
        return self.settings.ready_token

    def expire_tokens(self) -> None:
        """Void every access token that a log-in gave, as if its time were up; refresh tokens stay good."""
        with self.lock:
            self._tokens.expire_all()

    def gateway(self, *, trading_mode: str = "paper", **settings: Any) -> "OrderGateway":
        """
        An `OrderGateway` of this library's, pointed here and without pacing.

        Args:
            settings: the gateway's settings, over those that the simulator gives.
        """
        own: dict[str, Any] = {"base_url": self.base_url, "trading_mode": trading_mode}
        if not settings.keys() & {"token", "email", "refresh_token"}:
            own["token"] = self.token
        return self._hand_out("bitcain", own, settings)

    def market(self, symbol: str, *, trading_mode: str = "paper", exchange: str = "binanceus") -> MarketHandle:
        """A market of one exchange, paper or live: make prices, fill orders, look at the book."""
        return MarketHandle(self.engines[trading_mode], mapping.name_of(exchange, symbol), self.lock)

    @property
    def balances(self) -> dict[str, dict[str, Balance]]:
        """Ground truth: what the account owns, by mode and currency."""
        return {mode: engine.accounts.of(ACCOUNT) for mode, engine in self.engines.items()}

    def new_id(self) -> str:
        """A UUID, from the seed."""
        return str(UUID(int=self._ids.getrandbits(128), version=4))

    def put(self, **about: Unpack[BitcainPut]) -> SimOrder:
        """
        Put an order on the exchange, in any state, without asking any rule.

        Everything has a default; a status alone implies the filled part (`filled` all of it,
        `partially_filled` half).

        Args:
            about: any of `BitcainPut`. `trades` makes fills for the filled part (True), makes none (False),
                or lists (price, quantity) of each. `visible=False` hides the order. `raw` are fields to show
                as they are (unknown words, numbers as Decimal); `...` as a value leaves the field out.
        """
        mode, native = about.get("trading_mode", "paper"), about.get("type", "limit")
        market = mapping.name_of(about.get("exchange", "binanceus"), about.get("symbol", "BTC/USDT"))
        facts = {name: value for name, value in about.items() if name in _FACTS}
        with self.lock:
            told = _PUT.read(
                about,
                status_field=mapping.status_field(self.settings),
                type="limit" if native in _PRICED else "market",
                facts={**facts, "type": native, "trading_mode": mode},
            )
            return put(self.engines[mode], told, account=ACCOUNT, market=market, new_id=self.new_id)

    # Over HTTP.

    def _find(self, call: SimCall) -> None:
        parts = call.request.segments()
        path = "/".join(parts)
        if path == HISTORY and self.settings.history == "shadowed":
            call.endpoint, call.rest = self._routes[ONE]["GET"], parts[3:]
            return
        if path != HISTORY and path.startswith(f"{ORDERS}/"):
            path, call.rest = "/".join([ONE, *parts[4:]]), parts[3:4]
        verbs = self._routes.get(path)
        if verbs is None:
            call.refusal = BitcainRefusal(404, "Not Found")
            return
        call.endpoint = verbs.get(call.request.method)
        if call.endpoint is None:
            call.refusal = BitcainRefusal(405, "Method Not Allowed", {"allow": ", ".join(verbs)})

    def _admit(self, call: SimCall, endpoint: Endpoint) -> None:
        body = mapping.read_body(call.request) if endpoint.body is not None else None
        if endpoint.private:
            self._tokens.check(call.request)
            call.account = ACCOUNT
        faults: list[Row] = []
        if endpoint.rest:
            path = mapping.checked(mapping.OrderPath, {"order_id": call.rest[0]}, "path", faults)
            call.rest = [] if path is None else [str(path.order_id)]
        if endpoint.query is not None:
            words = [mapping.spelled(word, self.settings) for word in mapping.STATUSES]
            context = None if self.settings.order_status_type == "text" else dict.fromkeys(words)
            call.query = mapping.checked(endpoint.query, call.parameters, "query", faults, context=context)
        if endpoint.body is not None:
            call.body = mapping.checked(endpoint.body, body, "body", faults)
        if faults:
            raise mapping.invalid(*faults)

    def _answer(self, call: SimCall, found: Any) -> Response:
        return json_response(call.status, found)

    def _refused(self, call: SimCall, refusal: SimRefusal | NotEnough) -> Response:
        if not isinstance(refusal, BitcainRefusal):
            refusal = BitcainRefusal(self.settings.funds_status, "Insufficient funds")
        return refusal.response()

    def _broken(self, fault: Fault) -> Response:
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
