"""The two kinds of models: what users build, and what venues say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict

from orderbridge.errors import printable

_LONGEST: Final = 10_000_000


class UserModel(BaseModel):
    """What a user builds: frozen, refuses unknown fields, takes text for numbers and words, never a float."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


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
