import time

from odoo import http

from ..engine import EngineRejected
from ..models.loyalty_engine_redeemer import time_left
from .till import TillController, now, record_id

LONGEST_CODE = 512
# The receipt waits half a second for everything, the way there and back included.
RECEIPT_DEADLINE = 0.4


class PosLoyaltyEngine(TillController):
    """What the till asks for. Each route checks who asks, reads what it needs, lets go of its
    transaction while the engine is asked, and says in one word what came of it."""

    @http.route("/pos_loyalty_engine/identify", type="jsonrpc", auth="user")
    def identify(self, config_id, session_id, code, is_guess=False):
        """Who a code belongs to, with the wallet.

        :param code: as scanned or typed, with or without the tenant's prefix; or the engine's id
        :param is_guess: nothing in the shop has the code, and the till tries it
        :return: dict with ``status`` and, when it is "found", ``member`` and ``partner_id``
        """
        config = self._check_till(config_id, session_id)
        code = code.strip() if isinstance(code, str) else ""
        if not code or len(code) > LONGEST_CODE or not code.isprintable():
            return {"status": "unknown"}
        engine = config.loyalty_engine_id.sudo()
        if not engine:
            return {"status": "not_configured"}
        is_guess = is_guess is True
        lookups = config.env["loyalty.engine.lookup"].sudo()
        if wait := lookups._seconds_to_wait(is_guess):
            return {"status": "limited", "retry_after": wait}
        readings = engine._readings(code)
        partners, company = config.env["res.partner"], config.company_id
        linked = partners._loyalty_engine_linked(readings, company)
        # A customer may be another tenant's member; the code itself decides then.
        refs = linked._loyalty_engine_refs()
        readings = list(dict.fromkeys([*refs, *readings])) if len(refs) < 2 else readings
        # Read now: nothing of the connection is at hand any more once the engine has answered.
        points_value, deadline = engine._known_points_value(), engine.till_deadline

        answer = self._ask(engine, lambda client: self._find_member(client, readings, deadline))
        lookups._record(missed=answer["status"] == "unknown", is_guess=is_guess)
        if answer["status"] == "unknown" and len(refs) > 1:
            return {"status": "ambiguous"}
        if answer["status"] != "found":
            return {"status": answer["status"]}
        user, wallet = answer.pop("value")
        if user.is_restricted:
            return {"status": "restricted"}
        self._note_member(config, engine, user.id)
        if not linked or (refs and refs != [user.id]):
            linked = partners._loyalty_engine_linked([user.id], company)
        answer["partner_id"] = linked.id if len(linked) == 1 else False
        answer["member"] = {
            "ref": user.id,
            "account_number": user.account_number,
            "name": f"{user.given_name} {user.family_name}".strip(),
            "tier": wallet.tier_name,
            "points": None if wallet.balance is None else float(wallet.balance),
            "points_value": points_value,
            "read_at": now(),
        }
        return answer

    @http.route("/pos_loyalty_engine/link_customer", type="jsonrpc", auth="user")
    def link_customer(self, config_id, session_id, member_ref, partner_id):
        """Link a customer to a member, with the identifiers that the engine itself names.

        For every cashier who sees the customer: nothing else of the contact is written.
        """
        config = self._check_till(config_id, session_id)
        engine = config.loyalty_engine_id.sudo()
        if not engine:
            return {"status": "not_configured"}
        partner = config.env["res.partner"].browse(record_id(partner_id)).exists()
        if not partner or not isinstance(member_ref, str):
            return {"status": "unknown"}
        partner.check_access("read")
        if taken := partner._loyalty_engine_taken({"ref": member_ref}, config.company_id):
            return {"status": "taken", "by": taken}
        lookups = config.env["loyalty.engine.lookup"].sudo()
        if wait := lookups._seconds_to_wait():
            return {"status": "limited", "retry_after": wait}

        answer = self._ask(engine, lambda client: client.get_user(member_ref))
        lookups._record(missed=answer["status"] == "unknown")
        if answer["status"] != "found":
            return {"status": answer["status"]}
        user = answer["value"]
        identifiers = {
            "ref": user.id,
            "account_number": user.account_number,
            "auth_identifier": user.auth_identifier,
        }
        if taken := partner._loyalty_engine_taken(identifiers, config.company_id):
            return {"status": "taken", "by": taken}
        partner.sudo().write(
            {f"loyalty_engine_{name}": value for name, value in identifiers.items() if value}
        )
        return {"status": "linked"}

    @http.route("/pos_loyalty_engine/receipt", type="jsonrpc", auth="user")
    def receipt(self, config_id, session_id, order_uuid):
        """What the receipt of a reported sale can say: points earned with it, and the balance.

        Asks the engine only for what is not known yet, and for no longer than a receipt waits.
        """
        config = self._check_till(config_id, session_id, open_session=False)
        report = (
            config.env["loyalty.engine.report"]
            .sudo()
            .search(
                [
                    ("order_uuid", "=", order_uuid),
                    ("kind", "=", "sale"),
                    ("company_id", "=", config.company_id.id),
                ],
                limit=1,
            )
        )
        answer = {
            "state": report.state,
            "is_nobodys": report.state == "sent" and not report.member_ref,
            "points_earned": None,
            "points": None,
        }
        if report.state != "sent" or not report.member_ref:
            return answer
        if report.points_known:
            answer["points_earned"] = report.points_earned
        member_ref = report.member_ref
        # Of an order only its own id is known, and not which event came of it.
        event_ref = "" if report.way == "order" else report.event_ref

        def ask(client):
            if answer["points_earned"] is not None:
                return None, client.get_wallet(member_ref, deadline=RECEIPT_DEADLINE).balance
            if not event_ref:
                return None, None
            reactions, wallet = client.get_earned(event_ref, member_ref, deadline=RECEIPT_DEADLINE)
            # A balance from before the points came would only confuse.
            return reactions.points, None if reactions.points is None else wallet.balance

        asked = self._ask(report.engine_id, ask, is_short=True)
        if asked["status"] != "found":
            return answer
        points, balance = asked["value"]
        if points is not None and answer["points_earned"] is None:
            answer["points_earned"] = float(points)
            report.write({"points_earned": points, "points_known": True})
        if balance is not None:
            answer["points"] = float(balance)
        return answer

    def _note_member(self, config, engine, ref):
        """Remember whom the engine has confirmed, so that nobody asks again when a sale is told."""
        members = config.env["loyalty.engine.member"].sudo()
        if not members._is_confirmed(engine.id, ref):
            members._confirm(engine.id, ref)

    def _find_member(self, client, readings, deadline):
        """Member and wallet for the first reading of a code that the engine knows.

        :param deadline: seconds for all readings together
        """
        ends = time.monotonic() + deadline
        for reading in readings[:-1]:
            try:
                return client.get_member(reading, deadline=time_left(ends))
            except (EngineRejected, ValueError):
                continue
        return client.get_member(readings[-1], deadline=time_left(ends))
