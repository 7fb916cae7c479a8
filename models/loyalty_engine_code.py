from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..engine import Discount, DiscountUnreadable
from .loyalty_engine_redemption import FREE_STATES


class LoyaltyEngineCode(models.Model):
    """A voucher code of a pool that the engine doesn't validate (the integration guide: "Voucher
    code pools without API integration"). Imported from a CSV file with what it is worth; used once,
    through the same ledger as all others."""

    _name = "loyalty.engine.code"
    _description = "Own Voucher Code"
    _rec_name = "name"
    _order = "id desc"

    engine_id = fields.Many2one(
        "loyalty.engine",
        required=True,
        index=True,
        ondelete="cascade",
        default=lambda self: self._only_connection(),
    )
    company_id = fields.Many2one(related="engine_id.company_id", store=True, index=True)
    name = fields.Char(
        string="Reward",
        required=True,
        help="The same for all codes of a pool. The Loyalty Engine is told of it with each sale: "
        "no name of a person.",
    )
    code = fields.Char(
        required=True, trim=False, help="Taken as it is, capitals and blanks included."
    )
    discount_type = fields.Selection(
        [
            ("ABSOLUTE", "Money off"),
            ("PERCENTAGE", "Percentage off"),
            ("FIXED", "Sell at this price"),
        ],
        required=True,
        default="ABSOLUTE",
    )
    value = fields.Float(
        required=True, digits=(16, 4), help="In the currency of the till, or in percent."
    )
    skus = fields.Char(string="SKUs", help="Separated by commas. Empty: for the whole order.")
    min_amount = fields.Float(string="Smallest Basket", digits=(16, 4))
    expires_on = fields.Date(help="The last day on which the code is taken.")

    redemption_id = fields.Many2one(
        "loyalty.engine.redemption",
        string="Used By",
        compute="_compute_redemption_id",
        help="The redemption that has this code, and for whose order.",
    )

    _code_uniq = models.Constraint("unique(engine_id, code)", "This code is there already.")

    @api.model
    def _only_connection(self):
        """The company's connection, if it has one: then a file need not name it."""
        engines = self.env["loyalty.engine"].search(
            [("company_id", "=", self.env.company.id)], limit=2
        )
        return engines if len(engines) == 1 else False

    @api.depends("engine_id", "code")
    def _compute_redemption_id(self):
        redemptions = self.env["loyalty.engine.redemption"]
        keys = {code: self._claim_key(code.engine_id.id, code.code) for code in self}
        claims = redemptions.sudo().search(
            [("claim_key", "in", list(keys.values())), ("state", "not in", FREE_STATES)]
        )
        by_key = {redemption.claim_key: redemption.id for redemption in claims}
        for code, key in keys.items():
            code.redemption_id = by_key.get(key)

    @api.model
    def _claim_key(self, engine_id, code):
        """By what the ledger knows a code of this connection's."""
        return self.env["loyalty.engine.redemption"]._claim_key(f"own {engine_id}", code)

    @api.constrains("discount_type", "value", "skus")
    def _check_discount(self):
        for code in self:
            try:
                code._discount()
            except DiscountUnreadable as error:
                raise ValidationError(str(error)) from error

    @api.model_create_multi
    def create(self, vals_list):
        self._check_new([(vals.get("engine_id"), vals.get("code")) for vals in vals_list])
        return super().create(vals_list)

    def write(self, vals):
        if vals.keys() & {"engine_id", "code"}:
            self._check_new(
                [
                    (vals.get("engine_id", code.engine_id.id), vals.get("code", code.code))
                    for code in self
                ]
            )
        return super().write(vals)

    def _check_new(self, keys):
        """Refuse a code that is there already before PostgreSQL does: logs tell what that refuses.

        :param keys: list of (id of the connection, code) that ``self``, or new records, are to have
        :raises ValidationError: when another record has one of them
        """
        others = self.sudo().search(
            [("code", "in", [code for _engine_id, code in keys]), ("id", "not in", self.ids)]
        )
        there = {(other.engine_id.id, other.code) for other in others}
        if len(set(keys)) < len(keys) or there.intersection(keys):
            raise ValidationError(self.env._("This code is there already."))

    def _discount(self):
        """What the code is worth.

        :raises DiscountUnreadable: when that makes no sense
        """
        self.ensure_one()
        return Discount.from_json(
            {
                "type": self.discount_type,
                "value": f"{self.value:.4f}",
                "skus": [sku.strip() for sku in (self.skus or "").split(",") if sku.strip()],
                "venues": [],
            }
        )

    @api.model
    def _has_any(self, engine):
        return bool(self.sudo().search([("engine_id", "=", engine.id)], limit=1))

    @api.model
    def _find(self, engine, code):
        return self.sudo().search([("engine_id", "=", engine.id), ("code", "=", code)], limit=1)
