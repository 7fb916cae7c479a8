"""What the tests of the sandbox share: a sandbox for each class, and valid sales."""

import http.client
import json
import unittest
import uuid

from ..sandbox import demo
from .sandbox_process import CALL_LIMIT, SandboxProcess

MIA, OTTO = demo.MEMBERS[:2]
RESTRICTED = next(member for member in demo.MEMBERS if member.restricted)

CREDENTIALS = {
    "client_id": demo.CLIENT_ID,
    "client_secret": demo.CLIENT_SECRET,
    "audience": demo.AUDIENCE,
    "grant_type": "client_credentials",
}
KEY = {"X-Api-Key": demo.API_KEY}
JSON = {"Content-Type": "application/json"}


def secret(name="POS_SALE"):
    return {"Authorization": f"Bearer {demo.EVENT_SECRETS[name]}"}


def sale(total=12.5, **changes):
    """A full and valid sale event; a change to ``None`` leaves the field out."""
    event = {
        "type": "POS_SALE",
        "subject": MIA.id,
        "executor": "till-3",
        "occurredAt": "2026-01-02T10:11:12.000Z",
        "payload": {
            "transactionId": str(uuid.uuid4()),
            "receiptNumber": "00012-003-0007",
            "storeId": "372",
            "tillId": "3",
            "cashierId": "17",
            "currency": "EUR",
            "total": total,
            "totalWithoutTax": 10.5,
            "tax": 2,
            "discount": 0,
            "lines": [
                {
                    "sku": "DEMO-COFFEE",
                    "quantity": 2,
                    "unitPrice": 6.25,
                    "amount": 12.5,
                    "amountWithoutTax": 10.5,
                    "discount": 0,
                    "category": "Drinks",
                }
            ],
            "payments": [{"kind": "cash", "amount": 12.5}],
        },
        **changes,
    }
    return {name: value for name, value in event.items() if value is not None}


def sale_with(**changes):
    """A sale whose payload is changed; a change to ``None`` leaves the key out."""
    payload = {**sale()["payload"], **changes}
    return sale(payload={name: value for name, value in payload.items() if value is not None})


class SandboxCase(unittest.TestCase):
    """One sandbox for a class, as new for each test."""

    options = {"reactor_delay": 0}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = SandboxProcess(**cls.options)
        cls.sandbox.__enter__()
        cls.addClassCleanup(cls.sandbox.__exit__)

    def setUp(self):
        super().setUp()
        self.sandbox.reset()
        self.connection = self.connect()

    def connect(self, timeout=CALL_LIMIT):
        connection = http.client.HTTPConnection("127.0.0.1", self.sandbox.port, timeout=timeout)
        self.addCleanup(connection.close)
        return connection

    def send(self, method, path, body=None, headers=None, connection=None):
        """Status, JSON body (None where it is none) and headers of an answer."""
        connection = connection or self.connection
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            text = response.read()
        except BaseException:
            connection.close()
            raise
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        return response.status, answer, dict(response.headers)

    @property
    def token(self):
        status, answer, _headers = self.send("POST", "/oauth/token", CREDENTIALS, JSON)
        self.assertEqual(status, 200)
        return {"Authorization": f"Bearer {answer['access_token']}"}

    def read(self, path, status=200):
        """What an administrator reads: ``data``, or the answer where ``status`` isn't 200."""
        found, answer, _headers = self.send("GET", path, headers={**KEY, **self.token})
        self.assertEqual(found, status, (path, answer))
        if status == 200:
            self.assertEqual(answer["status"], "success")
            return answer["data"]
        return answer

    def post(self, path, body, **headers):
        """Post as an administrator."""
        headers = {**KEY, **JSON, **self.token, **headers}
        status, answer, _headers = self.send("POST", path, body, headers)
        return status, answer

    def report(self, event, name="POS_SALE", **headers):
        """Report with the event type's secret."""
        headers = {**KEY, **JSON, **secret(name), **headers}
        status, answer, _headers = self.send("POST", "/v1/events", event, headers)
        return status, answer

    def accepted(self, event):
        status, answer = self.report(event)
        self.assertEqual(status, 200, answer)
        return answer["data"]

    def refused(self, event, status=400, **headers):
        found, answer = self.report(event, **headers)
        self.assertEqual(found, status, answer)
        self.assertEqual(answer["status"], "fail")
        self.assertTrue(answer["message"])
        self.assertEqual(self.sandbox.events(), [], "a refused event is not stored")
        return answer["message"]
