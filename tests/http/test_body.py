"""What a body says: exact numbers, a description of what is no JSON, and nothing secret in what is shown."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge.http.body import Unreadable, describe, load, shown
from orderbridge.http.transport import told


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"price": 0.1}', {"price": Decimal("0.1")}),
        (b"5600000.000000000000000000000000000001", Decimal("5600000.000000000000000000000000000001")),
        (b"1e-8", Decimal("0.00000001")),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"[NaN, Infinity, -Infinity]", ["NaN", "Infinity", "-Infinity"]),
        (b'\xef\xbb\xbf{"a": "\xc3\xb1"}', {"a": "ñ"}),
        (b'["\\ud800", {"\\uD83D": "\\ud83d\\ude00"}]', ["\\ud800", {"\\ud83d": "\U0001f600"}]),
        (b"null", None),
    ],
)
def test_json_is_read_without_loss(body: bytes, expected: Any) -> None:
    """Decimals keep every digit, and what is no number stays text, to fail in its own row."""
    read = load(body)

    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(
    "number",
    ["9" * 5000, "-" + "9" * 100_000, "0." + "1" * 5000, "1e" + "9" * 500],
    ids=["int", "minus", "decimal", "e"],
)
def test_a_number_of_absurd_length_costs_its_own_row_only(number: str) -> None:
    """The neighbours of such a number are read; it stays text."""
    read = load(f'[{{"amount": {number}}}, {{"amount": 1.5}}]'.encode())

    assert read == [{"amount": number}, {"amount": Decimal("1.5")}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-32-be", "utf-8"])
@pytest.mark.parametrize("text", ["\ud800", "ñ"])
def test_a_body_is_utf_8_or_refused(encoding: str, text: str) -> None:
    """What Python's own reader takes for JSON in another encoding is not read, nor half a surrogate pair as bytes."""
    body = json.dumps({"oid": text}, ensure_ascii=False).encode(encoding, "surrogatepass")

    if (encoding, text) == ("utf-8", "ñ"):
        assert load(body) == {"oid": "ñ"}
    else:
        with pytest.raises(Unreadable):
            load(body)


ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(st.recursive(ANY_TEXT, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner)))
def test_what_was_read_can_be_written(value: Any) -> None:
    """Whatever texts a venue sends, by escapes or as they are, all that is read of them can be encoded again."""
    read = load(json.dumps(value).encode())

    assert json.dumps(read, ensure_ascii=False).encode("utf-8")


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_decimal_comes_through_unquoted(number: Decimal) -> None:
    """Whatever decimal a venue writes as a JSON number arrives digit by digit."""
    read = load(str(number).encode())

    assert Decimal(read) == number


@pytest.mark.parametrize(
    ("body", "described"),
    [
        (b"", "an empty body"),
        (b" \n ", "an empty body"),
        (b"<!DOCTYPE html><title>502</title>", "a page of HTML or XML (33 bytes)"),
        (b"\n <html>", "a page of HTML or XML (8 bytes)"),
        (b'{"success": tru', "15 bytes that are no JSON"),
        (b"{'a': 1}", "8 bytes that are no JSON"),
        (b'{"a": 1}{"b": 2}', "16 bytes that are no JSON"),
        (b"\xff\xfe\x00", "3 bytes that are no JSON"),
        (b'"\xff"', "3 bytes that are no JSON"),
    ],
)
def test_what_is_no_json_is_described(body: bytes, described: str) -> None:
    """A page, a cut body and an empty one are told apart in words."""
    with pytest.raises(Unreadable) as unreadable:
        load(body)

    assert str(unreadable.value) == describe(body) == described


@pytest.mark.parametrize("piece", [b"[", b'{"a":', b"[[", b'[{"a":'])
def test_thirty_megabytes_of_nesting_are_no_json(piece: bytes) -> None:
    """Nesting without end is refused, and does not end the process."""
    with pytest.raises(Unreadable, match="bytes that are no JSON"):
        load(piece * (30_000_000 // len(piece)))


@pytest.mark.parametrize("body", [b'{"n": 1e99999999999999999999}', b"[1e-99999999999999999999]"])
def test_an_exponent_beyond_any_number_stays_text(body: bytes) -> None:
    """A number that not even a Decimal can hold is text, like every other absurd one."""
    read = load(body)

    (value,) = read.values() if isinstance(read, dict) else read
    assert isinstance(value, str)


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_unreadable(body: bytes) -> None:
    """No body whatever raises anything but Unreadable, and any can be shown."""
    with contextlib.suppress(Unreadable):
        load(body)

    assert isinstance(shown(body), str)


@pytest.mark.parametrize(
    "body",
    [
        '{"token": "hunter2"}',
        '{"access_token":"hunter2", "x": 1}',
        '{"refreshToken": "hunter2"}',
        '{"API_KEY" : "hunter2"}',
        '{"apiSecret": "hunter2"}',
        '{"client_secret": "hunter2"}',
        '{"password": "a\\"hunter2"}',
        '{"password": "a\\\\\\"hunter2"}',
        '{"new_password": "hunter2"}',
        '{"authorization": "Bitso key:1:hunter2"}',
        '{"signature": "hunter2',
        "you sent Authorization: Bearer hunter2.x",
        "you sent <b>Bitso key:1:hunter2</b>",
    ],
)
def test_what_looks_secret_is_not_shown(body: str) -> None:
    """Fields and headers that carry secrets are emptied, whatever is in them."""
    text = shown(body.encode())

    assert "hunter2" not in text
    assert "…" in text


def test_known_secrets_are_removed_wherever_they_stand() -> None:
    """A secret that a venue echoes in plain text is not shown."""
    text = shown(b"unknown key s3cr3t-k3y for user", secrets=("s3cr3t-k3y", ""))

    assert text == "unknown key … for user"


@pytest.mark.parametrize("offset", range(0, 40, 3))
def test_no_part_of_a_known_secret_survives_the_cut(offset: int) -> None:
    """Wherever a long body is cut, no half of a secret is left at its end."""
    secret = "0123456789abcdefghijklmnopqrstuvwxyzABCD"

    text = shown(b"." * offset + secret.encode() * 200, secrets=(secret,))

    assert not any(secret[at : at + 6] in text for at in range(len(secret) - 5))


def test_a_long_body_is_shortened() -> None:
    """An error does not carry a page; it says how long the page was."""
    text = shown(b"x" * 10_000)

    assert text == "x" * 300 + "… (10000 bytes)"


def test_an_ordinary_body_is_shown_as_it_is() -> None:
    """What holds no secret is left alone."""
    body = '{"success": false, "error": {"code": "0312", "message": "Bitso: ñ"}}'

    assert shown(body.encode()) == body


@pytest.mark.parametrize("piece", [b"{}", b"[]", b"1", b"null"])
def test_an_answer_full_of_rows_is_refused_before_it_is_read(piece: bytes) -> None:
    """Millions of tiny values within the cap of an answer would hold up everything; nobody sends them."""
    body = b"[" + b",".join([piece] * (8 * 1024 * 1024 // (len(piece) + 1) - 2)) + b"]"

    with pytest.raises(Unreadable, match="more rows than any sends"):
        load(body)


def test_as_many_rows_as_fit_an_answer_are_read() -> None:
    """Real rows of a venue fill the cap of an answer without coming near."""
    row = {"oid": "A" * 16, "book": "btc_mxn", "price": "5600000.00", "created_at": "2026-01-02T03:04:05+0000"}
    row |= {"original_amount": "0.01000000", "unfilled_amount": "0.00500000", "side": "buy", "status": "open"}
    count = 8 * 1024 * 1024 // (len(json.dumps(row)) + 2)

    assert len(load(json.dumps([row] * count).encode())) == count


@pytest.mark.parametrize("password", ["hunter2", "h/u@n:ter2", "h%2Funter2"])
def test_the_user_and_password_of_an_address_are_not_shown(password: str) -> None:
    """Of a proxy or any other address, host and port are left."""
    told = shown(f"no way to http://someuser:{password}@127.0.0.1:8080/x: refused".encode())

    assert told == "no way to http://127.0.0.1:8080/x: refused"
    assert shown(b"see https://bitso.com:443/x?a=1") == "see https://bitso.com:443/x?a=1"


def test_a_user_without_a_password_is_no_less_secret() -> None:
    """A token may stand where the user of an address does, and hold a slash: an engine's error and a body hide both."""
    said = "no way to https://to/ken@venue.example/x"

    assert shown(said.encode()) == "no way to https://venue.example/x"
    assert told(ValueError(said)) == "ValueError: no way to https://venue.example/x"
