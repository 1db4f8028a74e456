"""The seam itself: addresses that secrets may travel to, and reprs that hide them."""

import pickle

import pytest

import orderbridge.http
from orderbridge.errors import ConfigurationError
from orderbridge.http import WireRequest, WireResponse
from orderbridge.http.transport import check_address


@pytest.mark.parametrize(
    "url",
    [
        "https://bitso.com/api/v3",
        "https://bitso.com:8443",
        "http://localhost:8000/api/v3",
        "http://127.0.0.1:8000",
        "http://127.1.2.3",
        "http://[::1]:8000",
        "HTTP://LOCALHOST/",
    ],
)
def test_https_and_loopback_are_addresses(url: str) -> None:
    """Secrets may travel encrypted, or stay on this machine."""
    check_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://bitso.com/api/v3",
        "http://10.0.0.1/",
        "http://127.evil.com/",
        "http://127.0.0.1.evil.com/",
        "http://localhost.evil.com/",
        "http://[2001:db8::1]/",
        "http://0.0.0.0/",
    ],
)
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    """Keys do not travel unencrypted unless the caller says so in as many words."""
    with pytest.raises(ConfigurationError, match="would send keys unencrypted; use https, or allow_plain_http=True"):
        check_address(url)

    check_address(url, allow_plain_http=True)


@pytest.mark.parametrize(
    "url",
    [
        "", "bitso.com", "/api/v3", "ftp://bitso.com", "https://", "https:///api", "http://[::1", "https://x:99999/",
        "https://x:port/", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(url: str) -> None:
    """A wrong base URL is told as a wrong setting, never as an error of a library."""
    with pytest.raises(ConfigurationError, match=r"is no absolute http\(s\) address"):
        check_address(url)


@pytest.mark.parametrize(
    "url", ["https://me:hunter2@x/", "https://hunter2@x/", "https://x/?key=hunter2", "https://x/#a"]
)
def test_a_base_address_holds_nothing_but_the_address(url: str) -> None:
    """Credentials and queries do not belong there, and the refusal does not repeat them."""
    with pytest.raises(ConfigurationError, match="holds no query, no fragment and no credentials") as refused:
        check_address(url)

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["authorization", "Authorization", "AUTHORIZATION", "Cookie", "Proxy-Authorization"])
def test_reprs_hide_what_identifies_us(name: str) -> None:
    """A request in a log or a traceback shows where it went, and neither signature nor body."""
    request = WireRequest("POST", "https://x/a?b=c", {name: "Bitso key:1:hunter2", "accept": "x"}, b'{"s":"hunter2"}')

    assert repr(request) == f"WireRequest(POST https://x/a?b=c, headers={{'{name}': '…', 'accept': 'x'}}, 15 bytes)"
    assert "hunter2" not in f"{request} {request!r} {[request]}"


def test_the_repr_of_an_answer_hides_cookies_and_body() -> None:
    """An answer shows its status and its size."""
    response = WireResponse(200, {"set-cookie": "hunter2", "x-request-id": "r"}, b"hunter2")

    assert repr(response) == "WireResponse(200, headers={'set-cookie': '…', 'x-request-id': 'r'}, 7 bytes)"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://x/a/b?c=1,2&d=%2C", "/a/b?c=1,2&d=%2C"),
        ("https://x/a", "/a"),
        ("https://x:8443/a//b/", "/a//b/"),
        ("https://x/a?b?c", "/a?b?c"),
    ],
)
def test_the_target_is_path_and_query_as_written(url: str, target: str) -> None:
    """What a signature covers is cut from the URL without a change."""
    assert WireRequest("GET", url).target == target


def test_requests_and_answers_are_plain_values() -> None:
    """They compare, pickle and do not change."""
    request, response = WireRequest("GET", "https://x/a", {"a": "b"}, b"c"), WireResponse(200, {"a": "b"}, b"c")

    assert pickle.loads(pickle.dumps((request, response))) == (request, response)
    with pytest.raises(AttributeError):
        request.method = "POST"  # type: ignore[misc]


def test_the_engines_are_found_by_name_and_nothing_else_is() -> None:
    """The public names of the package exist; another one is an AttributeError."""
    assert all(getattr(orderbridge.http, name) is not None for name in orderbridge.http.__all__)
    with pytest.raises(AttributeError, match="no attribute 'CurlTransport'"):
        _ = orderbridge.http.CurlTransport
