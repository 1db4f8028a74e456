"""A server on this machine that gives Bitso's answers, each after a while: what both clients are measured against."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.figures import ROOT
from tests.benchmarks.instant import answer


class _Answers(asyncio.Protocol):
    """One connection: a request in, an answer out."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length:")
        if not end or len(rest) < int(length.partition(b"\r\n")[0] or 0):
            return
        self._read = b""
        method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
        body = answer(method, target)
        told = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, told)
        else:
            self._transport.write(told)


async def _serve(delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Answers(delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving(delay: float = 0.0) -> Iterator[str]:
    """Its address, in a process of its own, which answers after `delay` seconds."""
    command = [sys.executable, "-m", "tests.benchmarks.serving", str(delay)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
