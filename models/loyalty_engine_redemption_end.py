from datetime import timezone
from decimal import Decimal

from psycopg2.extras import Json

from odoo import api, models

from ..engine import PointsFacts
from .loyalty_engine_redemption import decimal_of

# What backs a discount of a paid order, or may yet turn out to
BACKING_STATES = ("spending", "unknown", "spent", "settled")

# What becomes of the order of a redemption, as the stored orders tell
PAID_WITH, PAID_WITHOUT, GONE, OPEN = "paid with it", "paid without it", "gone", "open"


class LoyaltyEngineRedemption(models.Model):
    """How a redemption ends. Called by recovery alone, each in a short transaction of its own."""

    _inherit = "loyalty.engine.redemption"

    # === What there is to do ===

    @api.model
    def _some_rows(self, engine_id, condition, values, order, most):
        """At most ``most`` rows of a connection, the first ones in this order."""
        return self._rows(
            f"""
            redemption.id IN (
                SELECT redemption.id FROM loyalty_engine_redemption redemption
                 WHERE redemption.engine_id = %(engine)s AND {condition}
                 ORDER BY {order} LIMIT %(most)s)
            """,
            engine=engine_id,
            most=most,
            **values,
        )

    @api.model
    def _count_rows(self, engine_id, condition, values):
        self.env.cr.execute(
            f"SELECT COUNT(*) FROM loyalty_engine_redemption redemption"
            f" WHERE redemption.engine_id = %(engine)s AND {condition}",
            {**values, "engine": engine_id},
        )
        return self.env.cr.fetchone()[0]

    @api.model
    def _next_look_up(self, engine_ids):
        """When the next unknown outcome of these connections is looked up that isn't due yet."""
        self.env.cr.execute(
            """
            SELECT MIN(look_up_at) FROM loyalty_engine_redemption
             WHERE state = 'unknown' AND look_up_at > %s AND engine_id IN %s
            """,
            (self.env.cr.now(), tuple(engine_ids) or (0,)),
        )
        return self.env.cr.fetchone()[0]

    # === Ends ===

    @api.model
    def _fate(self, row):
        """What became of the order: an order that isn't here is open, and may still come.

        Only a line, or a payment, of this very order carries it; a copied one never counts.
        """
        self.env.cr.execute(
            """
            SELECT pos_order.state,
                   EXISTS (SELECT 1 FROM pos_order_line line WHERE line.order_id = pos_order.id
                              AND line.loyalty_engine_redemption = %(uuid)s)
                   OR EXISTS (SELECT 1 FROM pos_payment payment
                               WHERE payment.pos_order_id = pos_order.id
                                 AND payment.loyalty_engine_redemption = %(uuid)s)
              FROM pos_order
             WHERE pos_order.uuid = %(order)s
             ORDER BY pos_order.state IN ('draft', 'cancel')
             LIMIT 1
            """,
            {"uuid": row["uuid"], "order": row["order_uuid"]},
        )
        state, carries = self.env.cr.fetchone() or (None, False)
        if state not in (None, "draft", "cancel"):
            return PAID_WITH if carries else PAID_WITHOUT
        self.env.cr.execute(
            "SELECT 1 FROM loyalty_engine_tombstone WHERE order_uuid = %s", (row["order_uuid"],)
        )
        is_deleted = bool(self.env.cr.fetchone())
        # Only now: the first look at the clock is a query, and takes the place of the one before.
        is_leased = row["lease_until"] and row["lease_until"] > self.env.cr.now()
        if (state == "cancel" or is_deleted) and not is_leased:
            return GONE
        return OPEN

    @api.model
    def _settle(self, redemption_uuid):
        """Settle what is spent if its order is stored, paid, and carries it."""
        row = self._row(redemption_uuid)
        if self._fate(row) != PAID_WITH:
            return
        self._move(redemption_uuid, ("spent",), "settled", is_dropped=False)
        if row["is_overdue"]:
            self.env["loyalty.engine.case"]._close(
                "missing", redemption_uuid, self.env._("Its order has come, and carries it.")
            )

    @api.model
    def _end(self, redemption_uuid, late_after):
        """End what is spent: settled if its order is stored, paid, and carries it; given back if
        the cashier took it off, or the order is lost or was paid without it.

        :param late_after: seconds after which nobody waits any more to see that points are taken
        """
        row = self._row(redemption_uuid)
        fate = self._fate(row)
        if fate == PAID_WITH:
            self._settle(row["uuid"])
        elif fate != OPEN or row["is_dropped"]:
            why = {
                PAID_WITHOUT: self.env._("The order was paid without it."),
                GONE: self.env._("The order was cancelled or deleted."),
                OPEN: self.env._("It was taken off the order after it was spent."),
            }[fate]
            self._give_back(row, why, late_after)

    @api.model
    def _give_back(self, row, why, late_after):
        if row["is_overdue"]:
            self.env["loyalty.engine.case"]._close("missing", row["uuid"], why)
        if row["is_local"]:
            # Nobody but us knows of it: its code can simply be used again.
            self._move(row["uuid"], ("spent",), "released", why)
        elif row["kind"] == "voucher":
            self._strand(row["uuid"], ("spent",), why)
        elif row["shown_at"] and decimal_of(row["points_taken"]) > 0:
            if self._move(row["uuid"], ("spent",), "returning", why):
                self._queue_refund(row)
        elif row["shown_at"]:
            self._strand(
                row["uuid"],
                ("spent",),
                self.env._("%s The engine has taken no points for it.", why),
            )
        elif self._seconds_spent(row) > late_after:
            self._strand(
                row["uuid"],
                ("spent",),
                self.env._("%s Whether the engine has taken the points can't be seen.", why),
            )

    @api.model
    def _seconds_spent(self, row):
        """For how many seconds it is known that the engine has it."""
        return (self.env.cr.now() - (row["spent_at"] or row["sent_at"])).total_seconds()

    @api.model
    def _queue_refund(self, row):
        """Put the points refund into the outbox: what the engine's reaction took, and no more."""
        currency = self.env["res.currency"].browse(row["currency_id"])
        now = self.env.cr.now()
        taken = decimal_of(row["points_taken"])
        share = taken / decimal_of(row["points"]) if row["points"] else Decimal(1)
        facts = PointsFacts(
            redemption_id=row["uuid"],
            transaction_id=row["order_uuid"],
            points=taken,
            amount=round(decimal_of(row["amount"]) * share, currency.decimal_places),
            currency=currency.name,
            currency_decimals=currency.decimal_places,
            store_id=self.env["pos.config"].browse(row["config_id"]).loyalty_engine_store or None,
            till_id=f"pos-{row['config_id']}",
            cashier_id=f"user-{row['write_uid']}",
            occurred_at=now.replace(tzinfo=timezone.utc),
        )
        self.env["loyalty.engine.report"]._insert_row(
            engine_id=row["engine_id"],
            company_id=row["company_id"],
            kind="points_refund",
            order_uuid=row["uuid"],
            config_id=row["config_id"],
            reference=row["name"],
            occurred_at=now,
            member_ref=row["member_ref"],
            state="waiting",
            facts=Json(facts.to_json()),
        )

    @api.model
    def _refund_state(self, redemption_uuid):
        """:return: state of the points refund in the outbox"""
        self.env.cr.execute(
            """
            SELECT state FROM loyalty_engine_report
             WHERE kind = 'points_refund' AND order_uuid = %s
            """,
            (redemption_uuid,),
        )
        (state,) = self.env.cr.fetchone() or ("dead",)
        return state

    @api.model
    def _judge_refund(self, redemption_uuid):
        """Call off a points refund, or leave it to a person if the engine did not take it.

        The step is written in the transaction that has looked at the outbox: who sends it again
        writes one too (:meth:`_send_again`), and one of them looks anew.
        """
        if self._call_off_refund(redemption_uuid):
            return
        if self._refund_state(redemption_uuid) in ("dead", "by_hand"):
            why = self.env._("The engine did not take the points refund.")
            self._strand(redemption_uuid, ("returning",), why)

    @api.model
    def _call_off_refund(self, redemption_uuid):
        """Settle what was to be given back, if its order turns up, carrying it, before the refund
        has left, or after the engine has refused it.

        :return: whether it did
        """
        row = self._row(redemption_uuid)
        if self._fate(row) != PAID_WITH:
            return False
        self.env.cr.execute(
            """
            DELETE FROM loyalty_engine_report
             WHERE kind = 'points_refund' AND order_uuid = %s
               AND (state = 'waiting' AND sends = 0 OR state = 'dead' AND refused)
            """,
            (redemption_uuid,),
        )
        return self.env.cr.rowcount == 1 and self._move(
            redemption_uuid, ("returning",), "settled", is_dropped=False
        )

    @api.model
    def _send_again(self, redemption_uuid, report_id):
        """Send a points refund again that has failed, as long as nobody else sees to its points.

        :return: whether it goes; None for a refund that is none of a redemption's
        """
        if not self._row(redemption_uuid):
            return None
        note = self.env._("its points refund is sent again")
        if not self._move(redemption_uuid, ("returning",), "returning", note):
            return False
        self.env["loyalty.engine.report"]._resend([report_id])
        return True

    @api.model
    def _returned(self, redemption_uuid, points):
        """The reaction of the refund was seen.

        :param points: Decimal, what it gave
        """
        row = self._row(redemption_uuid)
        note = self.env._("%s points came back", f"{points:f}")
        is_moved = self._move(redemption_uuid, ("returning",), "returned", note)
        if is_moved and points < decimal_of(row["points_taken"]):
            self._open_case(
                row,
                "points",
                self.env._("Only a part of the points came back"),
                self.env._(
                    "%(back)s of %(taken)s points came back to the member. Please give the rest "
                    "by hand.",
                    back=f"{points:f}",
                    taken=f"{decimal_of(row['points_taken']):f}",
                ),
            )

    @api.model
    def _strand(self, redemption_uuid, from_states, why):
        """Nobody but a person can help: open a case that says what to do for whom."""
        row = self._row(redemption_uuid)
        if not self._move(redemption_uuid, from_states, "stranded", why):
            return
        if row["kind"] == "voucher" and row["state"] == "unknown":
            kind = "burned"
            name = self.env._("A voucher that was perhaps used in vain: %s", row["name"] or "")
            advice = self.env._(
                "%(member)s It was worth %(worth)s. Please look at the Loyalty Engine whether it "
                "was used: then give the member a new one. Otherwise it can be used as before. "
                "Code: %(code)s.",
                member=self._member_in_words(row),
                worth=self._worth_in_words(row),
                code=row["code_shown"] or "",
            )
        elif row["kind"] == "voucher":
            kind, name = "burned", self.env._("A voucher was used in vain: %s", row["name"] or "")
            advice = self.env._(
                "%(member)s It was worth %(worth)s. Burned vouchers don't come back: please give "
                "the member a new one at the Loyalty Engine. Code: %(code)s.",
                member=self._member_in_words(row),
                worth=self._worth_in_words(row),
                code=row["code_shown"] or "",
            )
        else:
            kind, name = "points", self.env._("Points to clear: %s", f"{row['points']:g}")
            advice = self.env._(
                "%(member)s Please look at the balance at the Loyalty Engine, and correct it where "
                "%(points)s points are missing.",
                member=self._member_in_words(row),
                points=f"{row['points']:g}",
            )
        self._open_case(row, kind, name, f"{why}\n{advice}")

    @api.model
    def _member_in_words(self, row):
        """Whose it is: the linked customer, else the engine's id."""
        if not row["member_ref"]:
            return self.env._("No member was on the order.")
        linked = self.env["res.partner"]._loyalty_engine_linked(
            [row["member_ref"]], self.env["res.company"].browse(row["company_id"])
        )
        return self.env._(
            "Member: %s.", linked.display_name if len(linked) == 1 else row["member_ref"]
        )

    @api.model
    def _worth_in_words(self, row):
        """What a voucher was worth: what the till took off for it, else what it promises."""
        currency = self.env["res.currency"].browse(row["currency_id"])
        if row["claimed_amount"]:
            return (
                f"{decimal_of(row['claimed_amount']):.{currency.decimal_places}f} {currency.name}"
            )
        return ", ".join(
            self._discount_in_words(discount, currency) for discount in row["discounts"] or []
        ) or self.env._("an amount that is not known")

    @api.model
    def _discount_in_words(self, discount, currency):
        value = discount["value"]
        text = {
            "ABSOLUTE": self.env._(
                "%(value)s %(currency)s off", value=value, currency=currency.name
            ),
            "PERCENTAGE": self.env._("%s %% off", value),
            "FIXED": self.env._(
                "a price of %(value)s %(currency)s", value=value, currency=currency.name
            ),
        }[discount["type"]]
        skus = ", ".join(discount["skus"])
        return self.env._("%(discount)s on %(skus)s", discount=text, skus=skus) if skus else text

    @api.model
    def _open_case(self, row, kind, name, what, reference=None):
        """:param reference: what it is about, if not this redemption alone"""
        self.env["loyalty.engine.case"]._open(
            self.env["loyalty.engine"].browse(row["engine_id"]),
            kind,
            reference or row["uuid"],
            name,
            what,
            redemption_id=row["id"],
            config_id=row["config_id"],
            order_uuid=row["order_uuid"],
            member_ref=row["member_ref"],
        )

    @api.model
    def _compare(self, redemption_uuid):
        """Compare what a stored order gives for a settled redemption with what it should give, and
        its total with what its lines come to. What differs by more than the smallest unit of the
        currency is flagged, never corrected."""
        row = self._row(redemption_uuid)
        order = self.env["pos.order"].search(
            [("uuid", "=", row["order_uuid"]), ("state", "not in", ("draft", "cancel"))], limit=1
        )
        given, expected = self._given_and_expected(order, row)
        unit = Decimal(1).scaleb(-order.currency_id.decimal_places)
        if row["booking"] == "discount" and row["claimed_amount"] is not None:
            # What was spent was spent for this amount, whatever the lines would allow.
            claimed = decimal_of(row["claimed_amount"])
            expected = claimed if abs(given - claimed) > unit else expected
        if abs(given - expected) > unit:
            self._open_case(
                row,
                "differs",
                self.env._("A discount of another amount: %s", order.pos_reference),
                self.env._(
                    "The till gave %(given)s for %(name)s; by the server's own sum it is "
                    "%(expected)s. The sale stands as it is.",
                    given=f"{given:f}",
                    expected=f"{expected:f}",
                    name=row["name"],
                ),
            )
        total = order._loyalty_engine_total_differs()
        if total is not None:
            self._open_case(
                row,
                "total",
                self.env._("A sale of another total: %s", order.pos_reference),
                self.env._(
                    "The till sold this order for %(claimed)s; by the server's own sum its lines "
                    "come to %(total)s. The sale stands as it is.",
                    claimed=f"{order._loyalty_engine_money(order.amount_total):f}",
                    total=f"{total:f}",
                ),
                reference=order.uuid,
            )
        if row["booking"] == "payment":
            self._compare_tender(order, row)
        self.env.cr.execute(
            "UPDATE loyalty_engine_redemption SET is_compared = TRUE WHERE uuid = %s",
            (redemption_uuid,),
        )

    @api.model
    def _compare_tender(self, order, row):
        """Flag a sale for which more points were taken than it came to: the rest was paid out."""
        payments = order.payment_ids.filtered(
            lambda payment: payment.payment_method_id._is_loyalty_engine_points()
        )
        taken = order._loyalty_engine_money(sum(payments.mapped("amount")))
        total = order._loyalty_engine_money(max(order.amount_total, order.amount_paid))
        if taken > total:
            self._open_case(
                row,
                "total",
                self.env._("More points than the sale came to: %s", order.pos_reference),
                self.env._(
                    "Points worth %(taken)s were taken for a sale of %(total)s, and the rest was "
                    "paid out. The sale stands as it is.",
                    taken=f"{taken:f}",
                    total=f"{total:f}",
                ),
                reference=f"{order.uuid} points",
            )

    @api.model
    def _given_and_expected(self, order, row):
        """:return: what the order gives for a redemption, and should give: Decimal, with taxes"""
        if row["booking"] == "payment":
            paid = sum(
                decimal_of(payment.amount)
                for payment in order.payment_ids
                if payment.loyalty_engine_redemption == row["uuid"]
            )
            return paid, decimal_of(row["amount"])
        rows = self._of_order(row["engine_id"], row["order_uuid"])
        # As the till counted when it was spent, also with what was refused afterwards. What was
        # burned at once was spent alone: with all that the order carries, and nothing frozen.
        counted = row["spent_with"] or {
            other["uuid"]: None for other in rows if other["state"] in ("spent", "settled")
        }
        carried = [
            {
                **self._till_view(other),
                "state": "spent",
                "frozen_amount": counted[other["uuid"]],
            }
            for other in rows
            if other["uuid"] in counted
        ]
        given = order._loyalty_engine_given_discounts().get(row["uuid"], Decimal(0))
        # Perhaps sold where another connection is, or none.
        engine = self.env["loyalty.engine"].browse(row["engine_id"])
        expected = order._loyalty_engine_expected_discounts(carried, engine)
        return given, expected.get(row["uuid"], Decimal(0))

    @api.model
    def _list_missing(self, redemption_uuid):
        row = self._row(redemption_uuid)
        if row["state"] != "spent" or self._fate(row) != OPEN:
            return
        draft = self.env["pos.order"].search([("uuid", "=", row["order_uuid"])], limit=1)
        if draft:
            note = self.env._("its order stands open")
            name = self.env._("The order of a redemption stands open: %s", row["name"] or "")
            what = self.env._(
                "%(order)s is not paid yet. It is settled by itself when it is paid, and given "
                "back when the order is cancelled or deleted.",
                order=draft.pos_reference or draft.name,
            )
        else:
            note = self.env._("its order is missing")
            name = self.env._("The order of a redemption has not come: %s", row["name"] or "")
            what = self.env._(
                "It may lie on a till that is offline: it is settled by itself when it comes. If "
                "it is lost, use Give Back on the redemption."
            )
        self._move(row["uuid"], ("spent",), "spent", note, is_overdue=True)
        self._open_case(row, "missing", name, what)

    @api.model
    def _list_taken_less(self, redemption_uuid):
        row = self._row(redemption_uuid)
        taken, spent = f"{row['points_taken']:g}", f"{row['points']:g}"
        self._open_case(
            row,
            "points",
            self.env._("The engine has taken fewer points than a sale gave for: %s", spent),
            self.env._(
                "The sale has had its discount for %(spent)s points, and the Loyalty Engine has "
                "taken %(taken)s. %(member)s Please correct the balance there. If it happens with "
                "each sale, the engine counts otherwise than this connection: compare the value of "
                "a point, and what the event carries, with its reaction.",
                spent=spent,
                taken=taken,
                member=self._member_in_words(row),
            ),
        )

    @api.model
    def _list_not_taken(self, redemption_uuid):
        row = self._row(redemption_uuid)
        if row["state"] != "settled" or row["shown_at"]:
            return
        self._open_case(
            row,
            "points",
            self.env._("The engine has not taken the points of a sale: %s", f"{row['points']:g}"),
            self.env._(
                "The Loyalty Engine has been told, and no reaction to it can be seen for a day. "
                "%(member)s Please look there whether %(points)s points were taken, and correct "
                "the balance. Until this is done, or a week is over, they count as gone at the "
                "tills. If it happens with each sale, the engine's reaction is switched off, or "
                'your credentials may not read reactions: then switch off "Reactions Can Be Read" '
                "on the connection.",
                member=self._member_in_words(row),
                points=f"{row['points']:g}",
            ),
        )

    @api.model
    def _found_after_all(self, redemption_uuid, event_ref):
        """What counted as never arrived is at the engine: it is spent, and goes back if its order
        doesn't carry it. Not where another row claims the voucher: then the burn is that one's."""
        row = self._row(redemption_uuid)
        if row["claim_key"] and self._claims(row["claim_key"]):
            return
        self._move(
            redemption_uuid,
            ("released",),
            "spent",
            self.env._("found by the audit"),
            event_ref=event_ref,
            is_dropped=True,
            look_up_at=None,
        )

    @api.model
    def _put_off(self, redemption_uuid, until):
        self.env.cr.execute(
            "UPDATE loyalty_engine_redemption SET look_up_at = %s WHERE uuid = %s",
            (until, redemption_uuid),
        )

    @api.model
    def _unbacked(self, engine_id, age, longest_draft, most):
        """Paid orders with a discount, or a payment, of ours that nothing backs, and that nobody
        was told of: dicts with ``order_id`` and ``uuid``, in another order each time.

        What is not clear yet is left until it is.

        :param age: timedelta since they were paid, at most
        :param longest_draft: timedelta for which they stood open before, at most
        """
        since = self.env.cr.now() - age
        self.env.cr.execute(
            """
            WITH carried AS (
                SELECT line.order_id, line.loyalty_engine_redemption AS uuid
                  FROM pos_order_line line
                 WHERE line.loyalty_engine_redemption IS NOT NULL
                   AND line.create_date > %(begun)s
                UNION
                SELECT payment.pos_order_id, payment.loyalty_engine_redemption
                  FROM pos_payment payment
                 WHERE payment.loyalty_engine_redemption IS NOT NULL
                   AND payment.create_date > %(begun)s
            )
            SELECT carried.order_id, carried.uuid
              FROM carried
              JOIN pos_order ON pos_order.id = carried.order_id
              JOIN pos_session ON pos_session.id = pos_order.session_id
              JOIN pos_config ON pos_config.id = pos_session.config_id
              LEFT JOIN loyalty_engine_redemption redemption
                     ON redemption.uuid = carried.uuid AND redemption.order_uuid = pos_order.uuid
             -- Sold where no connection is: then by that of what the till took off.
             WHERE COALESCE(pos_config.loyalty_engine_id, redemption.engine_id) = %(engine)s
               AND pos_order.state NOT IN ('draft', 'cancel')
               AND pos_order.write_date > %(since)s
               AND (redemption.id IS NULL OR redemption.state NOT IN %(backing)s)
               AND NOT EXISTS (SELECT 1 FROM loyalty_engine_case flagged
                                WHERE flagged.kind = 'unbacked' AND flagged.reference
                                    = concat(pos_order.uuid, ' ', carried.uuid))
             ORDER BY random()
             LIMIT %(most)s
            """,
            {
                "engine": engine_id,
                "since": since,
                "begun": since - longest_draft,
                "backing": BACKING_STATES,
                "most": most,
            },
        )
        return self.env.cr.dictfetchall()

    @api.model
    def _flag_unbacked(self, engine_id, order_id, redemption_uuid):
        """Open a case for a discount that nothing backs, if that is still so."""
        order = self.env["pos.order"].browse(order_id)
        row = self._row(redemption_uuid)
        if row and row["order_uuid"] == order.uuid:
            if row["state"] in BACKING_STATES:
                return
            if row["state"] == "returning" and self._fate(row) == PAID_WITH:
                # It may still be called off.
                return
        self.env["loyalty.engine.case"]._open(
            self.env["loyalty.engine"].browse(engine_id),
            "unbacked",
            f"{order.uuid} {redemption_uuid}",
            self.env._("A discount without a redemption: %s", order.pos_reference or order.name),
            self.env._(
                "The till took something off this order for a voucher or points that were not "
                "spent for it. The sale stands as it is."
            ),
            config_id=order.config_id.id,
            order_uuid=order.uuid,
            member_ref=order.loyalty_engine_member_ref,
        )
