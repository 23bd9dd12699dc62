"""A server's address that can go away and come back, without stopping the server."""

import contextlib
import socket
import threading


class Proxy:
    """Forwards connections to a server; `close` breaks them all and refuses new ones, `open` accepts again."""

    def __init__(self, host: str, port: int) -> None:
        """Choose a port of its own for the server at this address."""
        self.target = (host, port)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.listener: socket.socket | None = None
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

    def accept(self, listener: socket.socket) -> None:
        """Forward each connection in both directions."""
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            self.sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.forward, args=(source, sink), daemon=True).start()

    @staticmethod
    def forward(source: socket.socket, sink: socket.socket) -> None:
        """Copy what comes, until one side closes."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
