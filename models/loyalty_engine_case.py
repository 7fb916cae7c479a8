import logging

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import plaintext2html

_logger = logging.getLogger(__name__)

REMINDED_AT_ONCE = 100


class LoyaltyEngineCase(models.Model):
    """Something about members' points or vouchers that a person has to work off.

    Opened by the recovery of the ledger in the same transaction as the step that it is about;
    closed by a manager, who says what was done, or by itself where it has come to its end. The
    wording is for that manager, and tells what to do for whom.
    """

    _name = "loyalty.engine.case"
    _description = "Loyalty Case"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "state desc, id desc"

    name = fields.Char(required=True, readonly=True)
    engine_id = fields.Many2one(
        "loyalty.engine", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    config_id = fields.Many2one(
        "pos.config", string="Point of Sale", readonly=True, ondelete="set null"
    )
    kind = fields.Selection(
        [
            ("burned", "Voucher Used in Vain"),
            ("points", "Points to Clear"),
            ("missing", "Order Missing"),
            ("unbacked", "Discount without a Redemption"),
            ("differs", "Discount of Another Amount"),
            ("total", "Sale of Another Total"),
            ("cancelled", "Sale of a Cancelled Order"),
        ],
        required=True,
        readonly=True,
    )
    reference = fields.Char(
        required=True, readonly=True, help="What the case is about: opened once for each."
    )
    redemption_id = fields.Many2one(
        "loyalty.engine.redemption", readonly=True, ondelete="restrict", index="btree_not_null"
    )
    order_uuid = fields.Char(string="Order UUID", readonly=True)
    pos_order_id = fields.Many2one(
        "pos.order", string="Order", compute="_compute_pos_order_id", compute_sudo=True
    )
    member_ref = fields.Char(string="Member", readonly=True)
    what = fields.Text(string="What Happened", readonly=True)
    state = fields.Selection(
        [("open", "Open"), ("closed", "Closed")], required=True, readonly=True, default="open"
    )
    note = fields.Text(string="What Was Done", help="For example: a new voucher was given.")
    closed_by_id = fields.Many2one("res.users", readonly=True)
    closed_at = fields.Datetime(readonly=True)

    _once = models.Constraint("unique(kind, reference)", "This case is open already.")

    @api.model
    def _has_field_access(self, field, operation):
        """A person writes the note; all else is for recovery, and for the button that closes."""
        return super()._has_field_access(field, operation) and (
            operation == "read" or self.env.su or not field.readonly
        )

    def write(self, vals):
        if not self.env.su and "closed" in self.mapped("state"):
            raise UserError(self.env._("This case is closed: it stays as it is."))
        return super().write(vals)

    @api.model
    def _open(self, engine, kind, reference, name, what, **values):
        """Open a case, once for each ``kind`` and ``reference``, with an activity for the
        responsible person of the connection."""
        if self.search_count([("kind", "=", kind), ("reference", "=", reference)], limit=1):
            return
        case = self.create(
            {
                "engine_id": engine.id,
                "company_id": engine.company_id.id,
                "kind": kind,
                "reference": reference,
                "name": name,
                "what": what,
                **values,
            }
        )
        case._tell()

    def _tell(self):
        self.with_context(mail_activity_quick_update=True).activity_schedule(
            "mail.mail_activity_data_todo",
            summary=self.name,
            note=plaintext2html(self.what or ""),
            user_id=self.engine_id._person_to_tell().id,
        )

    @api.model
    def _remind(self):
        """Tell of open cases of which nobody is told any more: an activity goes with its user, and
        can be ticked off while the case is open."""
        for case in self.search(
            [("state", "=", "open"), ("activity_ids", "=", False)], limit=REMINDED_AT_ONCE
        ):
            try:
                with self.env.cr.savepoint():
                    case._tell()
            except Exception:
                # The others are told, and the audit goes on.
                _logger.exception("loyalty engine: nobody is told of case %s", case.id)

    @api.model
    def _close(self, kind, reference, note):
        """Close a case that has come to its end by itself."""
        cases = self.search(
            [("kind", "=", kind), ("reference", "=", reference), ("state", "=", "open")]
        )
        cases.write({"state": "closed", "note": note, "closed_at": self.env.cr.now()})
        cases.activity_feedback(["mail.mail_activity_data_todo"], feedback=note)

    @api.model
    def _open_passed_over(self, order, sold):
        """A till has sold an order that was cancelled here, and Odoo has stored nothing of it.

        :param sold: the order as the till sends it
        """
        methods = {method.id: method.name for method in order.config_id.payment_method_ids}
        payments = [command[2] for command in sold.get("payment_ids") or () if command[0] in (0, 1)]
        self._open(
            order.config_id.loyalty_engine_id,
            "cancelled",
            order.uuid,
            self.env._(
                "A sale of an order that is cancelled: %s", order.pos_reference or order.name
            ),
            self.env._(
                "%(till)s has sold this order: %(total)s %(currency)s, paid %(paid)s. It had been "
                "cancelled here before, so that Odoo has kept nothing of the sale, and the Loyalty "
                "Engine is not told of it. Please enter the sale again. What was spent for it is "
                "given back, or has a case of its own: the customer has had the discount.\n"
                "Order: %(uuid)s",
                till=order.config_id.name,
                total=sold.get("amount_total"),
                currency=order.currency_id.name,
                paid=", ".join(
                    f"{payment.get('amount')} ({methods.get(payment.get('payment_method_id'))})"
                    for payment in payments
                )
                or sold.get("amount_paid"),
                uuid=order.uuid,
            ),
            config_id=order.config_id.id,
            order_uuid=order.uuid,
            member_ref=order.loyalty_engine_member_ref,
        )

    @api.depends("order_uuid")
    def _compute_pos_order_id(self):
        orders = self.env["pos.order"]._loyalty_engine_by_uuid(self.mapped("order_uuid"))
        for case in self:
            case.pos_order_id = orders.get(case.order_uuid)

    def action_open_order(self):
        return self.pos_order_id._loyalty_engine_form()

    def _refunds_that_failed(self):
        """Reports that are worked off with this case: points that the engine did not take back."""
        if self.kind != "points":
            return self.env["loyalty.engine.report"]
        return self.env["loyalty.engine.report"].search(
            [
                ("kind", "=", "points_refund"),
                ("order_uuid", "=", self.reference),
                ("state", "=", "dead"),
            ]
        )

    def action_close(self):
        """Close the case; what was spent in vain counts as made good, and points as corrected.

        :raises AccessError: for others than managers of the point of sale
        :raises UserError: when nobody has said what was done
        """
        self.env["loyalty.engine"]._check_manager()
        ledger = self.env["loyalty.engine.redemption"]
        for case in self.filtered(lambda case: case.state == "open"):
            if not (case.note or "").strip():
                raise UserError(self.env._("Please write down what was done."))
            kept = case.redemption_id
            if case.kind == "missing" and kept.state == "spent" and not kept.is_dropped:
                raise UserError(
                    self.env._(
                        "What was spent is still kept for the order. If the order is lost, use "
                        "Give Back on the redemption first; if it comes, this case closes by "
                        "itself."
                    )
                )
            case.sudo().write(
                {
                    "state": "closed",
                    "closed_by_id": self.env.uid,
                    "closed_at": fields.Datetime.now(),
                }
            )
            case.sudo().activity_feedback(
                ["mail.mail_activity_data_todo"], feedback=case.note.strip()
            )
            case.sudo()._refunds_that_failed()._note_by_hand()
            if case.kind in ("burned", "points") and case.redemption_id:
                ledger._alone("_made_good", case.sudo().redemption_id.uuid, case.note.strip())
