"""A loopback server that answers by script, and both engines."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp.connector
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import settings

from orderbridge.http import AiohttpTransport, HttpxTransport, Transport
from orderbridge.http.transport import Limits

settings.register_profile("orderbridge", deadline=None, max_examples=100)
settings.load_profile("orderbridge")

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
ENGINES: dict[str, Callable[..., Transport]] = {"httpx": HttpxTransport, "aiohttp": AiohttpTransport}


class Peer:
    """Answers the n-th request with the n-th answer, the last one again and again, and counts what it got."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.received = asyncio.Event()
        self._answers = answers
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Its address, with a path."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api"

    @property
    def lines(self) -> list[str]:
        """The first line of every request, as it came over the wire."""
        return [request.split(b"\r\n", 1)[0].decode("latin-1") for request in self.requests]

    async def start(self, **more: Any) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, **more)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while not writer.is_closing():
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        body = await reader.readexactly(int(length.split(b":")[1]))
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(head + body)
        self.received.set()
        if isinstance(answer, bytes):
            writer.write(answer)
            await writer.drain()
        else:
            await answer(writer)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Start a server with its answers, one per request: raw bytes, or what writes to the connection."""
    peers: list[Peer] = []

    async def start(*answers: Answer, **more: Any) -> Peer:
        peer = Peer(answers)
        await peer.start(**more)
        peers.append(peer)
        return peer

    yield start
    for peer in peers:
        await peer.stop()


@pytest.fixture(params=list(ENGINES))
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture
async def engine(engine_name: str) -> AsyncIterator[Callable[..., Transport]]:
    """Make a transport of each engine in turn; it is closed after the test."""
    made: list[Transport] = []

    def make(**limits: Any) -> Transport:
        made.append(ENGINES[engine_name](limits=Limits(**limits)))
        return made[-1]

    yield make
    for transport in made:
        await transport.aclose()


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = builder.add_extension(addresses, critical=False)
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def trusted(self_signed: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS with a certificate that both engines trust in this test."""
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed))
    trusting = ssl.create_default_context(cafile=str(self_signed))
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)  # it is made when aiohttp is imported
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed)
    return context
