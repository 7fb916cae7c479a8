import logging
import time
from datetime import datetime, timezone

from werkzeug.exceptions import Forbidden

from odoo import http
from odoo.http import request

from ..engine import DiscountUnreadable, EngineAuthFailed, EngineError, EngineRejected

_logger = logging.getLogger(__name__)

# What is read of a till. To read any other field fetches dozens of them, while a cashier waits.
TILL_FIELDS = [
    "company_id",
    "currency_id",
    "loyalty_engine_id",
    "loyalty_engine_latitude",
    "loyalty_engine_longitude",
    "loyalty_engine_points_booking",
    "loyalty_engine_store",
    "loyalty_engine_venue",
]


class TillController(http.Controller):
    """Who may ask, and how the engine is asked while a cashier waits."""

    # === Who asks ===

    def _check_till(self, config_id, session_id, open_session=True):
        """The configuration of a till that the user may work at, in that till's company.

        A route of one's own carries no company: it is taken from the configuration, and only if it
        is one of the user's.

        :raises Forbidden: for anybody else, and for a session that is not open there
        """
        user = request.env.user
        if not user.has_group("point_of_sale.group_pos_user"):
            raise Forbidden()
        config = find("pos.config", config_id, TILL_FIELDS)
        session = find("pos.session", session_id, ["config_id", "state"])
        if (
            not config
            or config.company_id.id not in user._get_company_ids()
            or session.config_id != config
            or (open_session and session.state not in ("opening_control", "opened"))
        ):
            raise Forbidden()
        # The ledger notes at which till something was done.
        request.update_context(loyalty_engine_config_id=config.id)
        return config.with_user(user).with_company(config.company_id)

    # === Asking the engine ===

    def _ask(self, engine, call, is_short=False, rejected="unknown"):
        """Make ``call`` with the connection's client, without a transaction open meanwhile.

        :param rejected: the status where the engine says that something is wrong with what it was
            asked for; for want of better words, that there is no such thing
        :param is_short: the call waits for less time than an engine that is well may take: that it
            failed is held against nobody
        :return: dict with ``status``: "found" with ``value``, or why there is none
        """
        health = engine._health()
        if not health._admits_cashier(may_probe=not is_short):
            return {"status": "down"}
        was_failing = bool(health.failures)
        engine_id, deadline = engine.id, engine.till_deadline
        notes = request.env["loyalty.engine.health"].sudo()
        started = time.monotonic()
        try:
            client = engine._client()
            # The engine may take seconds; the database has better things to do.
            request.env.cr.rollback()
            value = call(client)
        except EngineRejected as error:
            if was_failing:
                notes._note_success(engine_id)
            statuses = {400: rejected, 404: "unknown", 422: rejected}
            return {"status": statuses.get(error.status, "refused"), "reason": error.message}
        except DiscountUnreadable:
            raise
        except ValueError:
            return {"status": "unknown"}
        except EngineAuthFailed as error:
            _logger.warning("loyalty engine %s: %s", engine_id, error)
            return {"status": "refused"}
        except EngineError as error:
            _logger.info("loyalty engine %s: %s", engine_id, error)
            if not is_short:
                notes._note_failure(engine_id, str(error))
            waited = time.monotonic() - started
            return {"status": "slow" if waited > 0.9 * deadline else "down"}
        if was_failing:
            notes._note_success(engine_id)
        return {"status": "found", "value": value}


def record_id(value):
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def find(model, value, names):
    """A record with these fields, in one query and without the many others: a cashier waits."""
    return request.env[model].sudo().search_fetch([("id", "=", record_id(value))], names)


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
