"""The proxy of the browser tests itself."""

from __future__ import annotations

import gc
import socket
import threading

from tests.browser.proxy import proxying


def test_an_answer_reaches_a_client_that_has_sent_its_last_byte() -> None:
    """Between the two nothing but the proxy holds the connection: no garbage may be made of it."""
    asked, may_answer = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening, proxying() as proxy:
        listening.settimeout(30)

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(30)
                while connection.recv(65536):
                    pass  # until the end of what the client sends
                asked.set()
                assert may_answer.wait(30)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        proxy.target = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as client:
            client.sendall(b"GET /there HTTP/1.1\r\nHost: here\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            assert asked.wait(30)
            for _ in range(3):
                gc.collect()
            may_answer.set()
            assert client.recv(65536) == b"HTTP/1.1 204 No Content\r\n\r\n"
        thread.join(30)
        assert proxy.paths == ["/there"]
