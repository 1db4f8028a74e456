"""The two kinds of models: what users build, and what venues say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from orderbridge.errors import OrderBridgeError, OrderDenied, printable

if TYPE_CHECKING:
    _Meta = type
else:

    class _Meta(type(BaseModel)):
        """
        Gives the errors of a constructor their place in our tree.

        Not an `__init__`, which pydantic would call wherever such a model is a field: `model_validate` and a model that
        holds one go on as pydantic's do, with its ValidationError and the place of each fault.
        """

        def __call__(cls, *args: Any, **fields: Any) -> Any:
            try:
                return super().__call__(*args, **fields)
            except ValidationError as error:
                raise cls._refusal("; ".join(map(_sentence, error.errors(include_url=False)))) from error


_LONGEST: Final = 10_000_000


def _sentence(fault: Mapping[str, Any]) -> str:
    field = ".".join(map(str, fault["loc"]))
    text = fault["msg"].removeprefix("Value error, ")
    return f"{field}: {text}" if field else text


class UserModel(BaseModel, metaclass=_Meta):
    """
    What a user builds: frozen, refuses unknown fields, takes text for numbers and words, never a float.

    The constructor and `model_copy` raise an error of ours, in a sentence; `model_validate` and its kin, and a model
    that has such a field, pydantic's ValidationError. Both are ValueErrors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    _refusal: ClassVar[type[OrderBridgeError]] = OrderDenied

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, which are checked as those of a new one are."""
        if not update:
            return super().model_copy(deep=deep)
        return type(self)(**{**self.__dict__, **update})


class VenueModel(BaseModel):
    """What a venue says: frozen, ignores unknown fields, so that a newer file can be read."""

    # A text with a longest length must be one that can be encoded: no other could be stored or shown.
    model_config = ConfigDict(frozen=True, extra="ignore", str_max_length=_LONGEST)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # What the venue did not say would bury what it did.
        for name, value in super().__repr_args__():
            if name is None or value != type(self).model_fields[name].get_default(call_default_factory=True):
                yield name, value


def _to_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone; write datetime(…, tzinfo=UTC)")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999 in UTC") from None


# What is said to a person, perhaps in a venue's words.
Told = Annotated[str, AfterValidator(printable)]
# An aware moment, kept in UTC.
Moment = Annotated[datetime, AfterValidator(_to_utc)]
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
