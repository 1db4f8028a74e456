"""A server on this machine that gives Bitso's answers, each after a while: what both clients are measured against."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from orderbridge.simulator.message import Delivery, Request, Response
from orderbridge.simulator.server import Server
from tests.benchmarks.figures import ROOT
from tests.benchmarks.instant import answer


async def _serve(delay: float) -> None:
    delivery = Delivery(delay=delay) if delay else None

    def answered(request: Request) -> Response:
        return Response(200, answer(request.method, request.target), delivery=delivery)

    server = Server(answered, host="127.0.0.1", port=0)
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


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
