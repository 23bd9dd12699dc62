"""A server's address that can go away and come back, without stopping the server."""

import contextlib
import re
import socket
import threading


class Proxy:
    """Forwards connections to a server; `close` breaks them all and refuses new ones, `open` accepts again.

    While `flowing` is cleared, connections stay open, new ones are accepted, and nothing comes through. While `cutting`
    is set, a connection breaks as soon as the server has answered, and the answer is lost. `break_after` so many
    messages of clients breaks a connection once, before the next one reaches the server, and clears `lasting`.
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
        self.lasting = threading.Event()
        self.left = 0
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

    def break_after(self, number: int) -> None:
        """Break a connection after so many messages."""
        self.left = number
        self.lasting.set()

    def is_next(self, sink: socket.socket) -> bool:
        """Count a message; tell whether the connection breaks before it reaches the server."""
        if not self.lasting.is_set() or sink.getpeername() != self.target:
            return False
        self.left -= 1
        if self.left < 0:
            self.lasting.clear()
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
                if (self.cutting.is_set() and source.getpeername() == self.target) or self.is_next(sink):
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
