"""A server on 127.0.0.1 that does to each request what a test tells it to."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import pathlib
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: Seconds after which anything here gives up, so that no test hangs.
PATIENCE = 20.0


@dataclass
class Received:
    """A request as it arrived, and the number of the connection that it came on."""

    connection: int
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


#: What is done to a request; False closes the connection.
Step = Callable[["Peer", Received], "bool | None"]


class Peer:
    """The server's end of a connection."""

    def __init__(self, sock: socket.socket, ended: threading.Event) -> None:
        self.sock = sock
        self._ended = ended

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, seconds: float) -> None:
        """Send one byte every `seconds`."""
        for index in range(len(data)):
            self.send(data[index : index + 1])
            self.wait(seconds)

    def wait(self, seconds: float) -> None:
        self._ended.wait(seconds)

    def reset(self) -> None:
        """Close so that the other end sees a reset instead of an end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def answer(
    data: Any = None, *, status: int = 200, headers: str = "", envelope: str | None = "success"
) -> Step:
    """Return a step that answers with the engine's envelope, or with bare JSON."""
    document = data if envelope is None else {"status": envelope, "data": data}
    return raw(json.dumps(document).encode(), status=status, headers=headers)


def raw(body: bytes, *, status: int = 200, headers: str = "") -> Step:
    """Return a step that answers with these bytes."""
    head = f"HTTP/1.1 {status} Told\r\nContent-Length: {len(body)}\r\n{headers}\r\n"

    def step(peer: Peer, _received: Received) -> None:
        peer.send(head.encode() + body)

    return step


def token(value: str = "admin-token", expires_in: Any = 86400) -> Step:
    """Return a step that answers as the token endpoint does."""
    return answer(
        {"access_token": value, "expires_in": expires_in, "token_type": "Bearer"}, envelope=None
    )


def reset(peer: Peer, _received: Received) -> bool:
    """Break the connection off after the request has arrived."""
    peer.reset()
    return False


def hang_up(_peer: Peer, _received: Received) -> bool:
    """Close the connection after the request has arrived."""
    return False


class ScriptedServer:
    """Does the next of its steps to each request; `script` chooses by path instead.

    Connections, and requests on them, are counted from 1. A context manager.
    """

    def __init__(
        self,
        *steps: Step,
        script: Callable[[Received], Step] | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._steps = list(steps)
        self._script = script
        self._tls = tls
        self._host = host
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self.received: list[Received] = []
        self.connections = 0

    def __enter__(self) -> ScriptedServer:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._listener = socket.create_server((self._host, 0), family=family)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        with self._lock:
            for sock in [self._listener, *self._open]:
                # What is waited for on a socket ends by a shutdown, not by closing it.
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
            threads = list(self._threads)
        for thread in threads:
            thread.join(PATIENCE)

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def paths(self) -> list[str]:
        return [f"{received.method} {received.path}" for received in self.received]

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
                number = self.connections
            self._start(self._serve, sock, number)

    def _serve(self, sock: socket.socket, number: int) -> None:
        # A client that gives up breaks whatever is going on here.
        with contextlib.suppress(OSError, ValueError):
            sock.settimeout(PATIENCE)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
                with self._lock:
                    self._open.add(sock)
            peer = Peer(sock, self._ended)
            with sock.makefile("rb") as stream:
                for received in self._requests(stream, number):
                    with self._lock:
                        self.received.append(received)
                        step = self._script(received) if self._script else self._steps.pop(0)
                    if step(peer, received) is False:
                        break
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    @staticmethod
    def _requests(stream: Any, number: int) -> Iterator[Received]:
        while line := stream.readline():
            method, path, _version = line.decode().split()
            headers = {}
            while (line := stream.readline().strip()) != b"":
                name, _colon, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            body = stream.read(int(headers.get("content-length", 0)))
            yield Received(number, method, path, headers, body)


@contextlib.contextmanager
def certificate(*names: str) -> Iterator[tuple[ssl.SSLContext, str]]:
    """Give a server's TLS context for `names`, and the file of the authority behind it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted server")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_san(x509, each) for each in names]), False)
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory() as folder:
        pem = pathlib.Path(folder, "server.pem")
        authority = pathlib.Path(folder, "authority.pem")
        authority.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + authority.read_bytes()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        yield context, str(authority)


def _san(x509: Any, name: str) -> Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
