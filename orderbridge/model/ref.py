"""Which order is meant: an id, perhaps with its gateway and its kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import AfterValidator, StringConstraints, model_validator

from orderbridge.errors import ConfigurationError
from orderbridge.model.basics import Symbol, UserModel, made, unsaid
from orderbridge.model.order import Order, OrderKey
from orderbridge.model.placement import Placement

if TYPE_CHECKING:
    from typing import Self

_CLIENT: Final = "client"
_ORDER: Final = "order"
_KINDS: Final = {_CLIENT: "client_order_id", _ORDER: "order_id"}


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"{text!r} holds a control character, as no id does")
    return text


# White space at an end is a file's or a shell's, never an id's.
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_printable)]


class WrongRef(ConfigurationError, ValueError):
    """A ref that names no order. Nothing was asked: correct it."""


class NoRef(WrongRef, TypeError):
    """A value of a kind that names no order."""


class OrderRef(UserModel):
    """
    A name for one order: the venue's `order_id`, our `client_order_id`, or an `id` of either kind.

    Without a `gateway` every gateway asked may answer. `symbol` helps venues that need it, and tells orders of one
    number apart where each market has its own; it is no part of the text. The text forms are `x`, `bitso:x`,
    `bitso:order:x`, `bitso/mm:x` and `bitso:client:x`; beside them `client:x` and `order:x` name the kind without a
    gateway. An id that holds a colon goes as `OrderRef(id=…)`. White space at an end of an id is dropped, and a
    control character within it refused.
    """

    _refusal: ClassVar[type[ConfigurationError]] = WrongRef

    gateway: Name | None = None
    order_id: Name | None = None
    client_order_id: Name | None = None
    id: Name | None = None
    symbol: Symbol | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            gateway: str | None = None,
            order_id: str | None = None,
            client_order_id: str | None = None,
            id: str | None = None,
            symbol: str | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not any((self.order_id, self.client_order_id, self.id)):
            raise ValueError("an order ref needs an order_id, a client_order_id or an id")
        if self.id and (self.order_id or self.client_order_id):
            raise ValueError("give id when its kind is not known, else order_id or client_order_id")
        return self

    @classmethod
    def parse(cls, text: str) -> OrderRef:
        """
        Read `x`, `bitso:x`, `bitso:order:x`, `bitso/mm:x` or `bitso:client:x`.

        Raises:
            ConfigurationError, which is a ValueError here: there is no id in the text, or a control character.
        """
        if not isinstance(text, str):
            raise NoRef(f"the text of a ref is a str, not a {type(text).__name__}")
        head, colon, rest = text.partition(":")
        named, given = "id", head.strip()
        gateway = None
        if colon:
            head, (kind, second, last) = given, rest.partition(":")
            if head in _KINDS:
                named, given = _KINDS[head], rest.strip()
            elif second and kind.strip() in _KINDS:
                gateway, named, given = head, _KINDS[kind.strip()], last.strip()
            else:
                gateway, named, given = head, "order_id", rest.strip()
        if not given or gateway == "":
            raise WrongRef(f"{text!r} names no order: write an id, or gateway:id, or gateway:client:id")
        if not text.strip().isprintable():
            raise WrongRef(f"{text!r} holds a control character, as no id does")
        told = unsaid(cls)
        told["gateway"], told[named] = gateway, given
        return made(cls, told)

    @classmethod
    def of(cls, ref: RefLike) -> OrderRef:
        """The ref that a text, key, order or placement stands for."""
        if isinstance(ref, OrderRef):
            return ref
        if isinstance(ref, str):
            return cls.parse(ref)
        if isinstance(ref, OrderKey):
            return cls(gateway=ref.gateway, order_id=ref.order_id, symbol=ref.symbol or None)
        # What a venue said is kept as it is: one odd id of its own must not make an error of a list of orders.
        if isinstance(ref, Order):
            return cls.of_checked(
                gateway=ref.gateway,
                order_id=ref.order_id,
                client_order_id=ref.client_order_id or None,
                symbol=ref.symbol,
            )
        if isinstance(ref, Placement):
            order = ref.order
            return cls.of_checked(
                gateway=ref.gateway,
                order_id=order.order_id if order else None,
                client_order_id=ref.client_order_id or None,
                symbol=ref.request.symbol,
            )
        raise NoRef(f"a ref is a str, OrderRef, OrderKey, Order or Placement, not {type(ref).__name__}")

    def __str__(self) -> str:
        if self.order_id is not None:
            kind, colon, _ = self.order_id.partition(":")
            named = f"{_ORDER}:{self.order_id}" if colon and kind.strip() in _KINDS else self.order_id
            return f"{self.gateway}:{named}" if self.gateway else f"{_ORDER}:{self.order_id}"
        if self.client_order_id is not None:
            kind = f"{_CLIENT}:{self.client_order_id}"
            return f"{self.gateway}:{kind}" if self.gateway else kind
        return f"{self.gateway}:{self.id}" if self.gateway else str(self.id)

    def __hash__(self) -> int:
        return hash((self.gateway, self.order_id, self.client_order_id, self.id))


RefLike = str | OrderRef | OrderKey | Order | Placement


def read_ref(ref: RefLike) -> OrderRef:
    """The ref that anything stands for. ConfigurationError: it is mis-written, or none."""
    try:
        return OrderRef.of(ref)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from error


def parse_refs(refs: Iterable[RefLike], *, gateways: Sequence[str]) -> list[OrderRef]:
    """
    Read refs and check that the gateways they name are among those asked.

    Raises:
        ConfigurationError: a ref without an id, or one that names a gateway that is not asked.
    """
    parsed = []
    for ref in refs:
        known = read_ref(ref)
        if not (known.order_id or known.client_order_id or known.id):
            message = "a placement without an order and a client id names nothing that a venue knows; resolve it"
            raise ConfigurationError(message, gateway=known.gateway)
        if known.gateway is not None and known.gateway not in gateways:
            names = ", ".join(gateways) or "none"
            message = f"{known} names a gateway that is not asked; asked are: {names}"
            if isinstance(ref, str):
                message += ". An id that holds a colon goes as OrderRef(id=…)"
            raise ConfigurationError(message)
        parsed.append(known)
    return parsed
