"""The HTTP server: Werkzeug's threaded one, with connections that stay open."""

import io
import socket
import struct
from typing import Any

from werkzeug import serving
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler

from .errors import Hangup

LARGEST_BODY = 1024 * 1024
"""Bytes."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class KeepAliveHandler(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive.

    Werkzeug's own handler closes each connection, because it can't know where a body that nobody
    read ends. This one reads the whole body first and sends answers of a known length.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120  # seconds that an idle connection stays open

    def version_string(self) -> str:
        return "LoyaltyEngineSandbox"

    def run_wsgi(self) -> None:
        if (length := self._body_length()) is None:
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        environ = self.make_environ()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["sandbox.connection"] = f"{self.client_address[0]}:{self.client_address[1]}"
        head: list[Any] = []
        try:
            chunks = self.server.app(
                environ, lambda status, headers: head.extend((status, headers))
            )
            self._send(head[0], head[1], b"".join(chunks))
        except Hangup as hangup:
            self._hang_up(hangup.reset)

    def _body_length(self) -> int | None:
        """Length of the body in bytes; ``None``, and an answer is sent, where it can't be read."""
        text = self.headers.get("Content-Length", "0")
        status = None
        if "Transfer-Encoding" in self.headers:
            status = "411 Length Required"
        elif not (text.isascii() and text.isdigit()):
            status = "400 Bad Request"
        elif int(text) > LARGEST_BODY:
            status = "413 Content Too Large"
        if status is None:
            return int(text)
        body = b'{"status":"fail","message":"%b"}' % status[4:].encode()
        self.close_connection = True
        self._send(status, [("Content-Type", "application/json")], body)
        return None

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        # The answer to HEAD names the length of a body that isn't sent.
        for name, value in {"Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self._headers_buffer.append(b"\r\n")
        head = b"".join(self._headers_buffer)
        self._headers_buffer = []
        self.wfile.write(head + body)

    def _hang_up(self, reset: bool) -> None:
        self.close_connection = True
        if reset:
            # Closing with data unsent and no patience sends a reset. The server's orderly
            # shutdown would come before it, so that the socket is closed here.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.rfile.close()
            self.connection.close()

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Nothing: ``/_sandbox/requests`` tells."""

    def log_error(self, text: str, *values: Any) -> None:
        """Nothing of a connection that was kept alive and is not needed any more."""
        if not any(isinstance(value, TimeoutError) for value in values):
            super().log_error(text, *values)


class PortInUse(Exception):
    """Another program listens there, or the system doesn't allow it."""


def bind(host: str, port: int) -> socket.socket:
    """A socket on a loopback address; ``port`` 0 picks a free one.

    :raise PortInUse: the port isn't to be had
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"Port {port} on {host} is not free ({error.strerror}):"
            " stop what uses it or choose another with --port."
        ) from error
    return listener


def make_server(listener: socket.socket, app: Any) -> BaseWSGIServer:
    """A server on a bound socket, with a thread for each connection."""
    host, port = listener.getsockname()[:2]
    return serving.make_server(
        host, port, app, threaded=True, request_handler=KeepAliveHandler, fd=listener.fileno()
    )
