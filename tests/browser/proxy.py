"""A small reverse proxy for HTTP and web sockets: it passes on `Host` as it comes, and the path
whole or without what stands before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator

HEAD = re.compile(rb"([A-Z]+) (\S+) (HTTP/1\.1)\r\n")


class Proxy:
    """A proxy on a port of its own.

    Attributes:
        port: where it listens.
        paths: that it was asked for.
        target: port that it passes requests on to.
        strip: path that it removes; "" passes on all of it.
        serving: a task for each connection.
    """

    def __init__(self) -> None:
        self.port, self.target, self.strip = 0, 0, ""
        self.paths: list[str] = []
        # The loop holds a task weakly, and a connection whose client has sent its last byte holds
        # nothing: without this set the garbage collector ends it before the target has answered.
        self.serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection, with one request to the target."""
        task = asyncio.current_task()
        assert task
        self.serving.add(task)
        behind: asyncio.StreamWriter | None = None
        try:
            head = self._rewritten(await reader.readuntil(b"\r\n\r\n"))
            answers, behind = await asyncio.open_connection("127.0.0.1", self.target)
            behind.write(head)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pipe(reader, behind))
                both.create_task(_pipe(answers, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # either side went
        except* asyncio.CancelledError:
            for each in filter(None, (behind, writer)):
                each.transport.abort()  # nobody waits for what is not sent yet
        finally:
            for each in filter(None, (behind, writer)):
                each.close()
            self.serving.discard(task)

    def _rewritten(self, head: bytes) -> bytes:
        line = HEAD.match(head)
        assert line, head[:80]
        path = line[2]
        self.paths.append(path.decode())
        path = path.removeprefix(self.strip.encode()) or b"/"
        rest = head[line.end() :]
        if b"\r\nupgrade: websocket" not in rest.lower():
            rest = re.sub(rb"(?im)^connection:.*\r\n", b"", rest)
            rest = b"Connection: close\r\n" + rest
        return b" ".join([line[1], path, line[3]]) + b"\r\n" + rest


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


@contextlib.contextmanager
def proxying() -> Iterator[Proxy]:
    """Run a proxy in a thread; the target is set once it is known."""
    proxy = Proxy()
    loop = asyncio.new_event_loop()

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    starting = asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=2**20)
    server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
    proxy.port = server.sockets[0].getsockname()[1]

    async def stop() -> None:
        server.close()
        others = list(proxy.serving)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
