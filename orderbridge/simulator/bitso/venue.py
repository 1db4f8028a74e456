"""
The simulated Bitso as tests and bots hold it, and its HTTP face: routes, admission, envelope.

Paths are served below `/api/v3`, the historic `/v3` and `/api/v4`; the signature covers whichever was sent. A
trailing slash is accepted. A path that does not exist is 404 with code `0322`, a verb that a path lacks is
`0901` (400).
"""

import string
from random import Random
from typing import TYPE_CHECKING, Any, Final, Unpack

from orderbridge.simulator.basics import Amount, SimClock
from orderbridge.simulator.bitso.auth import Keys, Lockouts
from orderbridge.simulator.bitso.mapping import BOOKS, CURRENCIES, TIME_IN_FORCE, BitsoRefusal, error_body
from orderbridge.simulator.bitso.trading import BitsoTrading
from orderbridge.simulator.engine.engine import NotEnough
from orderbridge.simulator.engine.money import Balance
from orderbridge.simulator.engine.order import SimOrder
from orderbridge.simulator.faults import Fault
from orderbridge.simulator.message import Response, json_response
from orderbridge.simulator.putting import MarketHandle, Moment, Put, PutWords, put
from orderbridge.simulator.settings import BitsoSettings
from orderbridge.simulator.venue import LOOPBACK, Endpoint, SimCall, SimRefusal, Venue

if TYPE_CHECKING:
    from orderbridge.gateway import OrderGateway

# The accounts of the two keys: each has money and orders of its own.
ACCOUNT, SECOND_ACCOUNT = "bot", "mm"
ID_LENGTH = 16
PUBLIC_PER_MINUTE = 60
_LETTERS = string.ascii_letters + string.digits


class BitsoPut(Put, total=False):
    """See `SimBitso.put`."""

    account: str
    book: str
    oid: str | None
    origin_id: str | None
    original_amount: Amount | None
    unfilled_amount: Amount | None
    original_value: Amount | None
    quote_quantity: Amount | None
    stop: Amount | None
    triggered_at: Moment | None


_PUT: Final = PutWords(
    keywords=BitsoPut.__optional_keys__,
    names={
        "oid": "order_id",
        "origin_id": "client_order_id",
        "original_amount": "quantity",
        "unfilled_amount": "remaining_quantity",
        "original_value": "quote_quantity",
        "stop": "stop_price",
    },
    statuses=frozenset(
        {"queued", "open", "partially filled", "completed", "cancelled", "accepted", "filled", "canceled"}
    ),
    queued=frozenset({"queued", "accepted"}),
)


class SimBitso(Venue):
    """
    A simulated Bitso and two accounts there: `bot`, which all calls here mean unless told, and `mm`.

    Attributes:
        engine: the exchange itself, for tests that go below HTTP.
    """

    name = "Bitso"
    books = ("bitso",)
    instruments, currencies = BOOKS, CURRENCIES
    accounts = (ACCOUNT, SECOND_ACCOUNT)
    settings: BitsoSettings

    def __init__(
        self, settings: BitsoSettings, *, clock: SimClock, rng: Random, port: int = 0, host: str = LOOPBACK
    ) -> None:
        super().__init__(settings, clock=clock, rng=rng, port=port, host=host)
        self.engine = self.engines["bitso"]
        self._keys = Keys()
        self._lockouts = Lockouts(settings, clock)
        calls = BitsoTrading(self.engine, settings, self.new_id)
        self._routes = {
            "v3/orders": {
                "GET": Endpoint("lookup", calls.lookup, rest=True),
                "POST": Endpoint("place", calls.place),
                "DELETE": Endpoint("cancel", calls.cancel, rest=True),
                "PATCH": Endpoint("replace", calls.replace, rest=True),
            },
            "v4/orders": {"PATCH": Endpoint("edit", calls.modify, rest=True)},
            "v3/open_orders": {"GET": Endpoint("open_orders", calls.open_orders)},
            "v3/order_trades": {"GET": Endpoint("order_trades", calls.order_trades, rest=True)},
            "v3/user_trades": {"GET": Endpoint("user_trades", calls.user_trades, rest=True)},
            "v3/balance": {"GET": Endpoint("balance", calls.balance)},
            "v3/fees": {"GET": Endpoint("fees", calls.fees)},
            "v3/order_book": {"GET": Endpoint("order_book", calls.order_book, private=False)},
            "v3/trades": {"GET": Endpoint("trades", calls.trades, private=False)},
            "v3/ticker": {"GET": Endpoint("ticker", calls.ticker, private=False)},
            "v3/available_books": {"GET": Endpoint("books", calls.available_books, private=False)},
            "v3/catalogues": {"GET": Endpoint("catalogues", calls.catalogues, private=False)},
        }

    @property
    def base_url(self) -> str:
        """The address before `/orders`: `http://127.0.0.1:PORT/api/v3`."""
        return f"{self.origin}/api/v3"

    @property
    def api_key(self) -> str:
        """The key that works."""
        return self.settings.api_key

    @property
    def api_secret(self) -> str:
        """Its secret."""
        return self.settings.api_secret

    def gateway(self, **settings: Any) -> "OrderGateway":
        """
        An `OrderGateway` of this library's, pointed here and without pacing, so that tests do not wait.

        The simulated Bitso does count, as the real one does: past 300 private calls in a minute it locks out,
        unless `settings.pacing` is off. `limits="venue"` paces the gateway too.

        Args:
            settings: the gateway's settings, over those that the simulator gives: the second key for
                `account="mm"`, the first for any other.
        """
        own: dict[str, Any] = {"api_key": self.api_key, "api_secret": self.api_secret, "base_url": self.base_url}
        own["elapsed"] = self.clock.time  # so that a test that moves the clock need not live through it
        if settings.get("account") == SECOND_ACCOUNT:
            own |= {"api_key": self.settings.second_key, "api_secret": self.settings.second_secret}
        return self._hand_out("bitso", own, settings)

    def market(self, book: str) -> MarketHandle:
        """A market by Bitso's name of it: make prices, fill orders, look at the book."""
        return MarketHandle(self.engine, book, self.lock)

    @property
    def balances(self) -> dict[str, Balance]:
        """Ground truth: what the first account owns and what of it is locked, by currency."""
        return self.engine.accounts.of(ACCOUNT)

    def new_id(self) -> str:
        """Sixteen letters and digits, from the seed."""
        return "".join(self._ids.choices(_LETTERS, k=ID_LENGTH))

    def put(self, **about: Unpack[BitsoPut]) -> SimOrder:
        """
        Put an order on the exchange, in any state, without asking any rule.

        Everything has a default. Sizes may be told in Bitso's names or in ours; a status alone implies the
        filled part (`completed` all of it, `partially filled` half). An order that has ended is visible for
        the usual window from now on, or from `updated_at` if that is given.

        Args:
            about: any of `BitsoPut`. `trades` makes fills for the filled part (True), makes none (False), or
                lists (price, quantity) of each. `visible=False` hides the order from look-up and open orders;
                its trades stay. `raw` are fields to show as they are (unknown words, numbers as Decimal);
                `...` as a value leaves the field out.
        """
        native = about.get("time_in_force", "goodtillcancelled")
        time_in_force, post_only = TIME_IN_FORCE.get(native, (native, False))
        book = about.get("book") or (about.get("symbol") or "BTC/MXN").lower().replace("/", "_")
        account, post_only = about.get("account", ACCOUNT), about.get("post_only", post_only)
        with self.lock:
            told = _PUT.read(about, time_in_force=time_in_force, post_only=post_only)
            return put(self.engine, told, account=account, market=book, new_id=self.new_id)

    # Over HTTP.

    def _find(self, call: SimCall) -> None:
        parts = call.request.segments()
        if parts[0] == "api":
            parts = parts[1:]
        verbs = self._routes.get("/".join(parts[:2]), {})
        call.endpoint, call.rest = verbs.get(call.request.method), parts[2:]
        if verbs and call.endpoint is None:
            call.refusal = BitsoRefusal("0901")
        elif call.endpoint is None or (call.rest and not call.endpoint.rest):
            call.endpoint, call.refusal = None, BitsoRefusal("0322", status=404)

    def _admit(self, call: SimCall, endpoint: Endpoint) -> None:
        """Check the signature and count the request, by user or by address."""
        settings, request = self.settings, call.request
        self.engine.settlement.stop_locks = settings.stop_locks
        if not endpoint.private:
            self._lockouts.count(request.peer, most=PUBLIC_PER_MINUTE)
            return
        secrets = {settings.second_key: settings.second_secret, settings.api_key: settings.api_secret}
        key = self._keys.check(request, secrets=secrets)
        call.account = ACCOUNT if key == settings.api_key else SECOND_ACCOUNT
        if endpoint.operation != "cancel":  # cancels are not counted, and go through a lock-out
            self._lockouts.count(call.account, most=settings.private_per_minute)

    def _answer(self, call: SimCall, found: Any) -> Response:
        return json_response(200, {"success": True, "payload": found})

    def _refused(self, call: SimCall, refusal: SimRefusal | NotEnough) -> Response:
        refused = refusal if isinstance(refusal, BitsoRefusal) else BitsoRefusal("0379")
        languages = call.request.headers.get("accept-language", "")
        language = languages.partition(",")[0].strip().partition("-")[0].lower()
        return json_response(refused.status, self._error(refused.code, about=refused.about, language=language))

    def _broken(self, fault: Fault) -> Response:
        headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
        code, status = {
            "throttle": ("0801", 420),
            "wrong_nonce": ("0207", 401),
            "not_success": ("1002", 200),
            "accept_then_5xx": ("0101", 502),
        }.get(fault.kind, ("0101", 503))
        return json_response(fault.status or status, self._error(code), headers)

    def _error(self, code: str, *, about: str = "", language: str = "") -> dict[str, Any]:
        if language not in ("en", "es"):
            language = self.settings.language
        return error_body(code, about=about, language=language, style=self.settings.error_style)
