"""How cassettes are recorded and replayed: what is matched, what is removed, and where they lie."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import vcr

FOLDER: Final = Path(__file__).parents[2] / "cassettes"
# Fixed, so that recording again changes nothing that did not change.
BITSO_PORT: Final = 8101
BITCAIN_PORT: Final = 8102
START: Final = 1_767_607_200.0
# Headers that say nothing about the venue, or too much about us.
_KEPT_REQUEST_HEADERS: Final = frozenset({"content-type", "accept"})
_KEPT_RESPONSE_HEADERS: Final = frozenset({"content-type", "retry-after", "www-authenticate"})
_SECRET_TEXT: Final = re.compile(rb'("(?:access_token|refresh_token|password)"\s*:\s*)"[^"]*"')


def _clean_request(request: Any) -> Any:
    request.headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT_REQUEST_HEADERS}
    if request.body:
        request.body = _SECRET_TEXT.sub(rb'\1"removed"', request.body)
    return request


def _clean_response(response: dict[str, Any]) -> dict[str, Any]:
    response["headers"] = {
        name: value for name, value in response["headers"].items() if name.lower() in _KEPT_RESPONSE_HEADERS
    }
    body = response["body"]["string"]
    response["body"]["string"] = _SECRET_TEXT.sub(rb'\1"removed"', body)
    return response


def player(*, record: bool = False) -> vcr.VCR:
    """A VCR that matches the whole request, and by default only plays."""
    return vcr.VCR(
        cassette_library_dir=str(FOLDER),
        serializer="yaml",
        record_mode=vcr.mode.ALL if record else vcr.mode.NONE,
        match_on=["method", "scheme", "host", "port", "path", "query", "body"],
        before_record_request=_clean_request,
        before_record_response=_clean_response,
        decode_compressed_response=True,
    )
