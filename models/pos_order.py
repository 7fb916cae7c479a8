import logging
import re
from datetime import timezone
from decimal import Decimal
from functools import partial

from odoo import api, fields, models

from ..engine import SaleFacts, SaleLine, SalePayment, SaleRedemption
from .pos_order_discount import allocate, base_of, to_money, to_units, total_of

_logger = logging.getLogger(__name__)

# Characters of a text in a report.
LONGEST_TEXT = 256
# What a redemption's id looks like: a claim of the till is reported only if it is one.
REDEMPTION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class PosOrder(models.Model):
    _inherit = "pos.order"

    # Written by the till: claims. The engine is asked before anything is made of them.
    loyalty_engine_member_code = fields.Char(
        string="Loyalty Code",
        copy=False,
        readonly=True,
        help="The member's code as it was scanned or typed.",
    )
    loyalty_engine_member_ref = fields.Char(
        string="Loyalty Member",
        copy=False,
        readonly=True,
        help="The member's id at the Loyalty Engine, once the engine has confirmed the code.",
    )
    # Computed, because a stored field would come back from the till and be overwritten.
    loyalty_engine_report_state = fields.Selection(
        selection="_selection_loyalty_engine_report_state",
        string="Loyalty Report",
        compute="_compute_loyalty_engine_report_state",
        groups="point_of_sale.group_pos_manager",
    )

    @api.model
    def _selection_loyalty_engine_report_state(self):
        return self.env["loyalty.engine.report"]._fields["state"].selection

    @api.depends("state")
    def _compute_loyalty_engine_report_state(self):
        reported = self.filtered(lambda order: order.config_id.loyalty_engine_id)
        states = {}
        if reported:
            self.env.cr.execute(
                "SELECT order_uuid, state FROM loyalty_engine_report WHERE order_uuid IN %s",
                (tuple(reported.mapped("uuid")),),
            )
            states = dict(self.env.cr.fetchall())
        for order in self:
            order.loyalty_engine_report_state = states.get(order.uuid)

    def action_pos_order_paid(self):
        result = super().action_pos_order_paid()
        if self.config_id.loyalty_engine_id:
            # Cashiers have no rights to the outbox, nor to connections.
            self.sudo()._loyalty_engine_note_paid()
        return result

    def _loyalty_engine_note_paid(self):
        """Write down what the engine must be told of this paid order; never raises."""
        self.env["loyalty.engine.report"]._freeze(self)
        try:
            self.env["loyalty.engine.report"]._freeze_refunds(self)
            if self._loyalty_engine_claims():
                # Once this order is stored, recovery finds it and settles what it carries.
                self.env["loyalty.engine.recovery"]._wake()
        except Exception:
            # The safety net, and recovery's next minute, do without.
            _logger.exception("loyalty engine: paid order %s not looked at", self.uuid)

    @api.model
    def sync_from_ui(self, orders):
        """Odoo passes over a paid order that is cancelled here: a person is told of that sale."""
        # Odoo takes the ids off what it stores.
        sold = {order.get("uuid"): dict(order) for order in orders if order.get("state") == "paid"}
        result = super(PosOrder, self.with_context(is_sync_from_ui=True)).sync_from_ui(orders)
        for stored in result.get("pos.order", ()):
            if stored.get("state") == "cancel" and stored.get("uuid") in sold:
                self.browse(stored["id"])._loyalty_engine_flag_passed_over(sold[stored["uuid"]])
        return result

    def _loyalty_engine_flag_passed_over(self, sold):
        """Open a case for this cancelled order, which a till has sold; never raises.

        :param sold: the order as the till sends it
        """
        order = self.sudo()
        if not order.config_id.loyalty_engine_id:
            return
        # Whatever is wrong with the orders belongs to Odoo, and must not be caught below.
        self.env.flush_all()
        try:
            with self.env.cr.savepoint():
                order.env["loyalty.engine.case"]._open_passed_over(order, sold)
        except Exception:
            _logger.exception("loyalty engine: sale %s, cancelled here, not listed", order.uuid)

    @api.model
    def _loyalty_engine_by_uuid(self, uuids):
        """:return: dict of uuid to the order, where it is here"""
        return {order.uuid: order for order in self.search([("uuid", "in", uuids)])}

    def _loyalty_engine_form(self):
        """The action that opens this order."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "pos.order",
            "res_id": self.id,
            "view_mode": "form",
        }

    def _loyalty_engine_claims(self):
        """Ids of the redemptions that lines and payments of these orders carry."""
        return {
            *self.lines.mapped("loyalty_engine_redemption"),
            *self.payment_ids.mapped("loyalty_engine_redemption"),
        } - {False}

    def _loyalty_engine_refunds(self):
        """The payments of these orders that give points back."""
        return self.payment_ids.filtered(
            lambda payment: (
                payment.amount < 0 and payment.payment_method_id._is_loyalty_engine_points()
            )
        )

    def write(self, vals):
        result = super().write(vals)
        if vals.get("state") == "cancel":
            # Stored first: whoever begins to spend now waits, and then sees it cancelled.
            self.flush_recordset(["state"])
            self._loyalty_engine_end()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_loyalty_engine(self):
        """Remember the order by its uuid: what was spent for it is given back, and not waited for.

        :raises UserError: while a till is at the payment of it
        """
        self.env.cr.execute("SELECT id FROM pos_order WHERE id IN %s FOR UPDATE", (self._ids,))
        for order_uuid in self._loyalty_engine_end():
            self.env.cr.execute(
                "INSERT INTO loyalty_engine_tombstone (order_uuid, at, user_id)"
                " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (order_uuid, self.env.cr.now(), self.env.uid),
            )

    def _loyalty_engine_end(self):
        """These orders are cancelled or deleted: let recovery see to what was spent for them.

        :return: uuids of those that have redemptions
        :raises UserError: while a till is at the payment of one
        """
        # Also at a till without a connection: the order may have come from one that has one.
        engines = self.env["loyalty.engine"].sudo().with_context(active_test=False)
        uuids = self.filtered("uuid").mapped("uuid")
        if not uuids or not engines.search_count([], limit=1):
            return []
        uuids = self.env["loyalty.engine.redemption"].sudo()._check_lease(uuids)
        if uuids:
            self.env["loyalty.engine.recovery"].sudo()._wake()
        return uuids

    def _loyalty_engine_is_sale(self):
        """Whether this order is reported as a sale. Returns are not: they take points back."""
        self.ensure_one()
        return not self.is_refund and self.currency_id.compare_amounts(self.amount_total, 0) >= 0

    def _loyalty_engine_sale(self):
        """The facts of this sale: all that can ever be reported of it.

        Amounts are in the order's currency, with taxes where nothing else is said. No name, no
        contact, no note: the cashier and the till are ids (the integration guide: never PII).
        """
        self.ensure_one()
        engine = self.config_id.sudo().loyalty_engine_id
        money = self._loyalty_engine_money
        lines = self._loyalty_engine_sale_lines(engine.sku_source)
        kinds = {}
        for payment in self.payment_ids:
            method = payment.payment_method_id
            kind = "points" if method._is_loyalty_engine_points() else method.type
            kinds[kind] = kinds.get(kind, 0) + payment.amount
        earning_total = self.amount_total
        if engine.discounts_earn:
            earning_total += float(sum(self._loyalty_engine_given_discounts().values()))
        if not engine.points_payment_earns:
            earning_total -= kinds.get("points", 0)
        # With employees logged in at the till, the user is the same for all of them.
        employee = self["employee_id"] if "employee_id" in self._fields else None
        return SaleFacts(
            transaction_id=self.uuid,
            receipt_number=self.pos_reference or None,
            store_id=(self.config_id.loyalty_engine_store or "")[:LONGEST_TEXT] or None,
            till_id=f"pos-{self.config_id.id}",
            cashier_id=f"employee-{employee.id}" if employee else f"user-{self.user_id.id}",
            currency=self.currency_id.name,
            currency_decimals=self.currency_id.decimal_places,
            total=money(self.amount_total),
            total_without_tax=money(self.amount_total - self.amount_tax),
            tax=money(self.amount_tax),
            discount=sum((line.discount for line in lines), Decimal(0)),
            earning_total=money(max(0.0, earning_total)),
            occurred_at=self.date_order.replace(tzinfo=timezone.utc),
            lines=lines,
            payments=tuple(
                SalePayment(kind=kind, amount=money(amount)) for kind, amount in kinds.items()
            ),
            redemptions=self._loyalty_engine_sale_redemptions(),
        )

    def _loyalty_engine_sale_redemptions(self):
        """What was redeemed for this sale, as far as the order itself tells it: it is the till's
        claim, and no ledger is read while an order is being stored."""
        paid = [
            SaleRedemption(
                kind="points",
                redemption_id=payment.loyalty_engine_redemption,
                points=Decimal(repr(payment.loyalty_engine_points)),
                amount=self._loyalty_engine_money(payment.amount),
            )
            for payment in self.payment_ids
            if REDEMPTION_ID.fullmatch(payment.loyalty_engine_redemption or "")
        ]
        taken_off = [
            self._loyalty_engine_discount_fact(redemption_id, amount)
            for redemption_id, amount in self._loyalty_engine_given_discounts().items()
            if REDEMPTION_ID.fullmatch(redemption_id)
        ]
        return (*paid, *taken_off)

    def _loyalty_engine_discount_fact(self, redemption_id, amount):
        lines = self.lines.filtered(lambda line: line.loyalty_engine_redemption == redemption_id)
        points = lines[0]._loyalty_engine_detail("points", int | float, 0)
        is_points = lines[0]._loyalty_engine_detail("kind", str, "voucher") == "points"
        return SaleRedemption(
            kind="points" if is_points else "voucher",
            redemption_id=redemption_id,
            points=Decimal(repr(points)) if is_points else None,
            amount=amount,
        )

    def _loyalty_engine_sale_lines(self, sku_source):
        """What was sold. A discount of the engine is no line: it is taken off the lines that it is
        on, so that their amounts add up to the order's total (before cash is rounded)."""
        return tuple(
            SaleLine(
                sku=(line.product_id[sku_source] or "")[:LONGEST_TEXT] or None,
                quantity=Decimal(repr(line.qty)),
                unit_price=self._loyalty_engine_money(line.price_unit),
                amount=amount,
                amount_without_tax=amount_without_tax,
                discount=self._loyalty_engine_full_amount(line, before) - amount,
                category=(line.product_id.categ_id.complete_name or "")[:LONGEST_TEXT] or None,
            )
            for line, before, amount, amount_without_tax in self._loyalty_engine_sold()
        )

    def _loyalty_engine_sold(self):
        """:return: a list of (line, amount without the engine's discounts, amount with them, the
        same without taxes): all lines but those discounts; the amounts are exact"""
        base_lines = self._loyalty_engine_rounded_base_lines()
        discounts = [line for line in base_lines if line["record"].loyalty_engine_redemption]
        sold = [line for line in base_lines if not line["record"].loyalty_engine_redemption]
        units = partial(to_units, currency=self.currency_id)
        before = [units(total_of(line)) for line in sold]
        amounts, untaxed = list(before), [units(base_of(line)) for line in sold]
        for discount in discounts:
            part_on = discount["record"]._loyalty_engine_part_on
            # What the till doesn't tell is off everything.
            weights = [units(part_on(line["record"])) for line in sold]
            weights = weights if any(weights) else [max(0, amount) for amount in amounts]
            for values, off in ((amounts, total_of(discount)), (untaxed, base_of(discount))):
                shares = allocate(-units(off), weights)
                values[:] = [value - share for value, share in zip(values, shares, strict=True)]
        return [
            (line["record"], *(to_money(value, self.currency_id) for value in values))
            for line, *values in zip(sold, before, amounts, untaxed, strict=True)
        ]

    def _loyalty_engine_full_amount(self, line, amount):
        """What ``line`` would cost without its own discount; ``amount``: what it costs with it."""
        if not line.discount:
            return amount
        undiscounted = line.tax_ids_after_fiscal_position.compute_all(
            line.price_unit,
            currency=self.currency_id,
            quantity=line.qty,
            product=line.product_id,
            partner=self.partner_id,
        )
        return self._loyalty_engine_money(undiscounted["total_included"])

    def _loyalty_engine_money(self, amount):
        """``amount`` to the cent of the order's currency, as an exact decimal number."""
        decimals = self.currency_id.decimal_places
        return Decimal(f"{self.currency_id.round(amount):.{decimals}f}")
