"""A real Chromium, driven by its DevTools protocol."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import websocket

from .servers import STOP_LIMIT, BenchError, wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--window-size=1366,768",
    "--remote-debugging-port=0",
    "--proxy-server=direct://",
]
# What the page says of trouble comes last on it.
WHAT_IS_SHOWN = """
[...document.querySelectorAll(".o_notification, .modal-dialog"), document.body]
    .map((element) => element.innerText.slice(0, 500))
    .join(" | ")
"""
CALL_LIMIT = 45.0  # seconds: longer than what a script waits for itself, to learn what did not come


class Browser:
    """Chromium with an empty profile, as ``with Browser() as browser:``."""

    def __init__(self):
        self._folder = tempfile.mkdtemp(prefix="loyalty_bench_")
        self._process = None
        self._socket = None
        self._number = 0

    def __enter__(self):
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if not program:
            raise BenchError("Chromium is missing: run bin/setup --test.")
        self._process = subprocess.Popen(
            [program, *SWITCHES, f"--user-data-dir={self._folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port_file = Path(self._folder) / "DevToolsActivePort"
            port, path = wait_until(
                lambda: port_file.exists() and port_file.read_text().split(), "Chromium started", 30
            )
            self._socket = websocket.create_connection(
                f"ws://127.0.0.1:{port}{path}", suppress_origin=True, timeout=CALL_LIMIT
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info):
        if self._socket:
            with contextlib.suppress(Exception):
                self._socket.close()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_LIMIT)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def page(self, odoo, cashier):
        """An empty profile of its own with one page, logged in as ``cashier``."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        try:
            target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
            session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            page = Page(self, session["sessionId"])
            page.call("Page.enable")
            page.call(
                "Network.setCookie", name="session_id", value=cashier.session_id, url=odoo.url
            )
            yield page
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def call(self, method, session=None, **params):
        """The result of a command.

        :raises BenchError: where Chromium refuses it, or does not answer
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        deadline = time.monotonic() + CALL_LIMIT
        try:
            self._socket.send(json.dumps(message))
            while time.monotonic() < deadline:
                answer = json.loads(self._socket.recv())
                if answer.get("id") == self._number:
                    if "error" in answer:
                        raise BenchError(f"{method}: {answer['error']['message']}")
                    return answer["result"]
        except (websocket.WebSocketException, OSError) as error:
            raise BenchError(f"{method}: {error}") from None
        raise BenchError(f"{method}: Chromium does not answer.")


class Page:
    """A page of the browser."""

    def __init__(self, browser, session):
        self._browser = browser
        self._session = session

    def call(self, method, **params):
        return self._browser.call(method, session=self._session, **params)

    def run_first(self, script):
        """Run ``script`` in every document before any of its own."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def value(self, expression):
        """What a JavaScript expression gives, as JSON has it.

        :raises BenchError: where it throws
        """
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            raise BenchError(f"The page failed: {text}")
        return answer["result"].get("value")

    def busy(self):
        """Seconds that the page's main thread has been busy: scripts, layout, drawing."""
        self.call("Performance.enable")
        metrics = self.call("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    def wait_for(self, expression, what, limit=60.0):
        """Wait until the expression is true, and return it; also over a change of page."""

        def look():
            try:
                return self.value(expression)
            except BenchError:
                return None

        try:
            return wait_until(look, what, limit, pause=0.05)
        except BenchError as error:
            text = ""
            with contextlib.suppress(BenchError):
                text = self.value(WHAT_IS_SHOWN)
            raise BenchError(f"{error} The page shows: {text}") from None
