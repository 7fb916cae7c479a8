from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError


class LoyaltyEngineCase(models.Model):
    """Something about members' points or vouchers that a person has to work off.

    Opened by the recovery of the ledger in the same transaction as the step that it is about;
    closed by a manager, who says what was done. The wording is for that manager, and tells what to
    do for whom.
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
        case.with_context(mail_activity_quick_update=True).activity_schedule(
            "mail.mail_activity_data_todo", summary=name, user_id=engine.responsible_id.id
        )

    def action_close(self):
        """Close the case; what was spent in vain counts as made good.

        :raises AccessError: for others than managers of the point of sale
        :raises UserError: when nobody has said what was done
        """
        if not self.env.user.has_group("point_of_sale.group_pos_manager"):
            raise AccessError(self.env._("Only managers of the point of sale can do this."))
        ledger = self.env["loyalty.engine.redemption"]
        for case in self:
            if not (case.note or "").strip():
                raise UserError(self.env._("Please write down what was done."))
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
            if case.redemption_id:
                ledger._alone(
                    "_move",
                    case.sudo().redemption_id.uuid,
                    ("stranded",),
                    "made_good",
                    case.note.strip(),
                )
