"""Both engines behind a proxy: what of the environment they obey, and that nothing of it but host and port is told."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from orderbridge.errors import ConfigurationError
from orderbridge.http import HttpxTransport, Transport, WireRequest
from orderbridge.http.transport import NoAnswer, NothingSent

Serve = Callable[..., Awaitable[Any]]
Engine = Callable[..., Transport]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ASKED_FOR = b"HTTP/1.1 407 Give s3cr/t@now\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
SECRETS = ("someuser", "s3cr%2Ft", "s3cr/t", "c29tZXVzZXI6")
VENUE = "http://venue.invalid/api/v3/orders"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without what the machine has set."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def drop(writer: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""
    writer.close()


def port_of(peer: Any) -> str:
    """The port that it listens on."""
    return str(peer.url.split(":")[2].split("/")[0])


def everything(error: BaseException) -> str:
    """What a program may print of an error: its chain, tracebacks, and the locals of every frame."""
    seen: list[str] = []
    rest: list[BaseException | None] = [error]
    while rest:
        if (each := rest.pop()) is not None:
            told = traceback.TracebackException.from_exception(each, capture_locals=True)
            # Not this file's own frames, which hold what they test.
            told.stack = traceback.StackSummary.from_list([at for at in told.stack if "/tests/" not in at.filename])
            seen += [*told.format(), repr(each), repr(each.args)]
            rest += [each.__cause__, each.__context__]
    return "".join(seen)


@pytest.mark.parametrize("answer", [ASKED_FOR, drop], ids=["407", "drop"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_of_a_proxy_is_told_but_host_and_port(
    serve: Serve, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    answer: Any, scheme: str,
) -> None:  # fmt: skip
    """A proxy that refuses or hangs up gives away neither its user nor its password, in any error, frame or log."""
    peer = await serve(answer)
    monkeypatch.setenv(f"{scheme}_proxy", f"http://someuser:s3cr%2Ft@127.0.0.1:{port_of(peer)}")
    caplog.set_level("DEBUG", logger="orderbridge")

    try:
        outcome: Any = await engine().send(WireRequest("POST", VENUE.replace("http:", f"{scheme}:")), timeout=5)
    except (NothingSent, NoAnswer) as error:
        outcome = error

    if scheme == "http" and answer is ASKED_FOR:
        told = repr(outcome)  # without a tunnel it is an answer like any other
    else:
        # A tunnel that was refused carried nothing.
        assert isinstance(outcome, NothingSent if scheme == "https" else NoAnswer)
        assert f"127.0.0.1:{port_of(peer)}" in str(outcome)
        told = everything(outcome)
    assert len(peer.requests) == 1
    assert not [secret for secret in SECRETS if secret in told + caplog.text]


async def test_the_proxy_of_a_callers_client_is_not_told(serve: Serve) -> None:
    """Nor is the password of a proxy that the caller's own client goes through."""
    peer = await serve(ASKED_FOR)
    async with httpx.AsyncClient(proxy=f"http://someuser:s3cr%2Ft@127.0.0.1:{port_of(peer)}") as client:
        with pytest.raises(NothingSent) as caught:
            await HttpxTransport(client).send(WireRequest("POST", VENUE.replace("http:", "https:")), timeout=5)

    told = everything(caught.value).replace("s3cr/t@now", "")  # the reason is the proxy's own words

    assert not [secret for secret in SECRETS if secret in told]


@pytest.mark.parametrize(
    ("settings", "used"),
    [
        ({"http_proxy": "http://{}"}, True),
        ({"HTTP_PROXY": "http://{}"}, True),
        ({"http_proxy": "{}"}, True),
        ({"all_proxy": "http://{}"}, True),
        ({"ALL_PROXY": "{}"}, True),
        ({"https_proxy": "http://{}"}, False),
        ({"http_proxy": "http://{}", "no_proxy": "127.0.0.1"}, False),
        ({"http_proxy": "http://{}", "no_proxy": "other.invalid, 127.0.0.1"}, False),
        ({"all_proxy": "http://{}", "NO_PROXY": "*"}, False),
        ({"http_proxy": "http://{}", "no_proxy": "invalid"}, True),
        ({"http_proxy": "http://{}", "all_proxy": "http://127.0.0.1:1"}, True),
        ({"http_proxy": "http://{}", "no_proxy": "{venue}"}, False),
        ({"http_proxy": ""}, False),
    ],
)
async def test_the_environment_means_the_same_to_every_engine(
    serve: Serve, engine: Engine, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], used: bool
) -> None:
    """The proxy of the scheme, else that for all, with or without a scheme of its own, unless the host is excepted."""
    proxy, venue = await serve(OK), await serve(OK)
    for name, value in settings.items():
        shown = value.replace("{venue}", f"127.0.0.1:{port_of(venue)}").format(f"127.0.0.1:{port_of(proxy)}")
        monkeypatch.setenv(name, shown)

    await engine().send(WireRequest("GET", venue.url), timeout=5)

    assert (len(proxy.requests), len(venue.requests)) == ((1, 0) if used else (0, 1))


@pytest.mark.parametrize("address", ["socks5://u:s3cr/t@localhost:1080", "socks4a://localhost", "ftp://h", "http://"])
async def test_a_proxy_that_is_not_spoken_is_refused_with_a_sentence(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Nothing is sent past a proxy that the engines cannot use, and it is said which, without its password."""
    monkeypatch.setenv("all_proxy", address)

    with pytest.raises(ConfigurationError, match=r"the environment names (a|the) proxy") as no:
        await engine().send(WireRequest("GET", VENUE), timeout=5)

    assert "s3cr" not in everything(no.value)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_signs_a_request_is_not_in_its_error(serve: Serve, engine: Engine, method: str) -> None:
    """An error of an engine holds no header in its chain or its frames: not where it was sent, nor where it was not."""
    peer = await serve(drop)
    headers = {"authorization": "Bitso somekey:17:" + "5ec2e7" * 6}
    gone, bad = f"http://127.0.0.1:{port_of(peer)}/", {"authorization": headers["authorization"] + "\r\nx: y"}

    for url, given in (
        (gone, headers),
        ("http://127.0.0.1:1/", headers),
        (gone, bad),
        ("http://127.0.0.1:x/", headers),
    ):
        with pytest.raises((NothingSent, NoAnswer)) as caught:
            await engine().send(WireRequest(method, url, given, b'{"password":"hunter2"}'), timeout=5)

        told = everything(caught.value)
        assert not [secret for secret in ("5ec2e7", "somekey", "hunter2") if secret in told]


async def test_a_plain_proxy_is_told_no_user_of_the_venue(
    serve: Serve, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """User and password of an address do not stand in the line of a request, which proxies log."""
    peer = await serve(OK)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port_of(peer)}")

    await engine().send(WireRequest("GET", VENUE.replace("//", "//us:s3cret@")), timeout=5)

    assert "s3cret" not in peer.lines[0]
    assert peer.lines[0].startswith(f"GET {VENUE.partition('?')[0].rstrip('/')}")
