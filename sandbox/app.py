"""The sandbox as a WSGI application: faults around the API, control calls beside it."""

import select
import socket
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Request, Response

from .access import RateLimit, too_many_requests
from .api import Api, answer
from .control import Control
from .errors import Hangup, Refusal, envelope, failure
from .faults import Fault, Faults
from .options import Options
from .reactors import ReactorWorker
from .requestlog import Entry, RequestLog
from .store import Store
from .vouchers import Vouchers

HTML = "text/html"

PATIENCE = 120.0
"""Seconds after which a late answer no longer waits for the client to give up."""


class Sandbox:
    """One running sandbox.

    :param store: its data
    :param start: options from the command line; they win over those kept in ``store``
    """

    def __init__(self, store: Store, start: Mapping[str, Any] | None = None):
        self.store = store
        self.start_options = Options().changed(start or {})
        self.options = Options().changed({**store.options(), **(start or {})})
        self.rate = RateLimit()
        self.faults = Faults()
        self.log = RequestLog()
        self.reactors = ReactorWorker(store, lambda: self.options)
        self.vouchers = Vouchers(self)
        self.stopping = threading.Event()
        self._api = Api(self)
        self._control = Control(self)
        self.reactors.start()

    def close(self) -> None:
        """End the waits and the worker; the data file is its owner's to close."""
        self.stopping.set()
        self.reactors.stop()

    def reset(self) -> None:
        """As it was at the start: data of ``demo.py``, no faults, an empty log."""
        self.store.reset()
        self.faults.put([])
        self.log.clear()
        self.rate.refill()
        self.options = self.start_options

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        try:
            if request.path == "/" or request.path.startswith("/_sandbox"):
                response = self._control(request)
            else:
                response = self._logged(request)
        except Hangup:
            raise
        except Exception as error:
            if self.stopping.is_set():
                raise Hangup from error  # the data file is closed already
            traceback.print_exc()
            response = answer(failure("The sandbox has a bug: see its terminal.", "error"), 500)
        return response(environ, start_response)

    def _logged(self, request: Request) -> Response:
        entry = self.log.open(request)
        request.environ["sandbox.request"] = entry.number
        begin = time.monotonic()
        try:
            response = self._perform(request, entry)
            entry.status = response.status_code
            return response
        finally:
            entry.milliseconds = round((time.monotonic() - begin) * 1000, 1)

    def _perform(self, request: Request, entry: Entry) -> Response:
        path = request.path.rstrip("/")
        bearer = "Authorization" in request.headers
        body = entry.body.decode("utf-8", "replace")
        latency, fault = self.faults.pick(request.method, path, bearer, body)
        if latency:
            self._pause(latency)
            entry.fault = "latency"
        if fault is None:
            return self._api(request)
        entry.fault = fault.kind
        if fault.kind in ("drop_before", "down"):
            raise Hangup(reset=fault.kind == "down")
        if fault.kind == "throttle":
            retry_after = fault.retry_after
            return self._api.refuse(
                too_many_requests(self.options.retry_after if retry_after is None else retry_after)
            )
        if fault.kind == "wrong_token":
            return self._api.refuse(Refusal(401, "The token is not valid or has ended."))
        if fault.kind == "hold":
            while self.faults.stands(fault):
                self._pause(0.02)
            return self._api(request)
        if fault.kind == "late":
            self._wait_for_hangup(request.environ["werkzeug.socket"])
            self._pause(fault.seconds)
        if fault.kind not in ("error", "refuse") or fault.done:
            self._api(request)
        if fault.kind in ("error", "refuse"):
            verdict = "error" if fault.kind == "error" else "fail"
            return answer(failure("Something went wrong on purpose.", verdict), fault.status)
        if fault.kind == "unreadable":
            return _unreadable(fault)
        raise Hangup

    def _pause(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise Hangup

    def _wait_for_hangup(self, connection: socket.socket) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self._pause(0.05)
            readable, _, _ = select.select([connection], [], [], 0)
            try:
                if readable and not connection.recv(1, socket.MSG_PEEK):
                    return
            except OSError:
                return


def _unreadable(fault: Fault) -> Response:
    if fault.form == "html":
        return Response(
            "<!doctype html><title>Hello</title><p>Not what you want.", 200, mimetype=HTML
        )
    if fault.form == "incomplete":
        return answer(envelope({}))
    body = b"" if fault.form == "empty" else b'{"status": "success", "data": {\xff'
    return Response(body, mimetype="application/json")
