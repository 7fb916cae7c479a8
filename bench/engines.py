"""The sandbox engine as the benches use it."""

from datetime import datetime

import psycopg2

from sandbox import demo

MEMBERS = [member for member in demo.MEMBERS if not member.restricted]


def connection(sandbox):
    """Values of a ``loyalty.engine`` that speaks to a running sandbox."""
    return {
        "environment": "custom",
        "rewards_url": sandbox.rewards_url,
        "receipts_url": sandbox.receipts_url,
        "token_url": sandbox.token_url,
        "api_key": demo.API_KEY,
        "client_id": demo.CLIENT_ID,
        "client_secret": demo.CLIENT_SECRET,
        "audience": demo.AUDIENCE,
        "event_secret": demo.EVENT_SECRET,
        "points_value": 0.01,
        "estimated_points_per_unit": 1,
    }


def spending(sandbox):
    """The same, with vouchers to spend."""
    return {**connection(sandbox), "accepts_vouchers": True, "voucher_user": "ref"}


def milliseconds(stamp):
    """A moment of the engine's log (``2026-01-02T10:11:12.000Z``), since 1970."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() * 1000


def notify_jobs(database):
    """Tell Odoo's job processes that a job of ``database`` is due, as Odoo itself tells them."""
    connection = psycopg2.connect(dbname="postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cr:
            cr.execute("SELECT pg_notify('cron_trigger', %s)", (database,))
    finally:
        connection.close()
