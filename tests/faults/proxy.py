"""A server's address that can go away and come back, without stopping the server."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Forwards connections to a server; `close` breaks them all and refuses new ones, `open` accepts again.

    While `flowing` is cleared, connections stay open, new ones are accepted, and nothing comes through. While `cutting`
    is set, a connection breaks as soon as the server has answered, and the answer is lost. Once `left` more
    messages of clients have reached the server, the connection of the next one breaks; none does while it is below 0.
    """

    def __init__(self, url: str) -> None:
        """Choose a port of its own for the server of a database URL; `url` leads through it."""
        address = re.search(r"@([^:/]+):(\d+)", url)
        assert address
        self.target = (address[1], int(address[2]))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = url.replace(address[0], f"@127.0.0.1:{self.port}")
        self.listener: socket.socket | None = None
        self.flowing = threading.Event()
        self.flowing.set()
        self.cutting = threading.Event()
        self.left = -1
        self.sockets: list[socket.socket] = []

    def open(self) -> None:
        """Accept connections."""
        self.listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False, backlog=512)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self) -> None:
        """Break all connections, and refuse new ones."""
        if self.listener:
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        for end in self.sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.sockets.clear()

    def break_in_turn(self) -> Iterator[int]:
        """Break a connection before its first message, then before the second, until there are no more of them."""
        for number in range(100):
            self.left = number
            yield number
            if self.left >= 0:
                break
        self.left = -1

    def breaks_before(self, sink: socket.socket) -> bool:
        """Count a message; tell whether the connection breaks before it reaches the server."""
        if self.left < 0 or sink.getpeername() != self.target:
            return False
        self.left -= 1
        return self.left < 0

    def accept(self, listener: socket.socket) -> None:
        """Forward each connection in both directions."""
        while True:
            try:
                client, _ = listener.accept()
                self.flowing.wait()
                server = socket.create_connection(self.target)
            except OSError:
                return
            self.sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.forward, args=(source, sink), daemon=True).start()

    def forward(self, source: socket.socket, sink: socket.socket) -> None:
        """Copy what comes, until one side closes."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.flowing.wait()
                if (self.cutting.is_set() and source.getpeername() == self.target) or self.breaks_before(sink):
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
