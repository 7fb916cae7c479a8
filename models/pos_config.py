from odoo import api, fields, models


class PosConfig(models.Model):
    _inherit = "pos.config"

    # Every readable field of this model is sent to the browser: nothing secret may stand here.
    loyalty_engine_id = fields.Many2one(
        "loyalty.engine",
        check_company=True,
        ondelete="restrict",
        index="btree_not_null",
        help="The connection that identifies members at this point of sale and is told its sales.",
    )
    loyalty_engine_since = fields.Datetime(
        string="Reports Sales Since",
        compute="_compute_loyalty_engine_since",
        store=True,
        help="When the connection was chosen. Orders created earlier are never reported to it.",
    )
    loyalty_engine_store = fields.Char(
        string="Store at the Loyalty Engine",
        help="The store's number or code as the Loyalty Engine knows it. Sent with each sale.",
    )
    loyalty_engine_venue = fields.Char(
        string="Venue at the Loyalty Engine",
        help="The venue's id or number. Sent with vouchers, and compared with those that a "
        "discount is limited to.",
    )
    loyalty_engine_latitude = fields.Float(
        string="Latitude", digits=(9, 6), help="Sent with vouchers, if it or the longitude is set."
    )
    loyalty_engine_longitude = fields.Float(string="Longitude", digits=(9, 6))
    loyalty_engine_points_booking = fields.Selection(
        [("discount", "As a discount")],
        string="Spend Points",
        help="How points that a member spends are booked. Empty: points are not spent here.",
    )
    loyalty_engine_trouble_count = fields.Integer(
        compute="_compute_loyalty_engine_trouble_count",
        groups="point_of_sale.group_pos_manager",
        help="Sales that could not be reported and wait for a person.",
    )

    @api.depends("loyalty_engine_id")
    def _compute_loyalty_engine_since(self):
        for config in self:
            config.loyalty_engine_since = config.loyalty_engine_id and self.env.cr.now()

    def _compute_loyalty_engine_trouble_count(self):
        counts = dict(
            self.env["loyalty.engine.report"]
            .sudo()
            ._read_group(
                [
                    ("config_id", "in", self.filtered("loyalty_engine_id").ids),
                    ("state", "in", ("dead", "not_built")),
                ],
                ["config_id"],
                ["__count"],
            )
        )
        for config in self:
            config.loyalty_engine_trouble_count = counts.get(config, 0)

    def action_loyalty_engine_trouble(self):
        """Open the reports of this point of sale that wait for a person."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "pos_loyalty_engine.loyalty_engine_report_action"
        )
        action["domain"] = [("config_id", "=", self.id)]
        action["context"] = {"search_default_trouble": 1}
        return action

    @api.model
    def _load_pos_data_read(self, records, config):
        values = super()._load_pos_data_read(records, config)
        if values:
            values[0]["_loyalty_engine"] = config.sudo().loyalty_engine_id._till_data(config)
        return values

    def _get_special_products(self):
        # Loaded by every till, and on no shelf.
        products = self.env["loyalty.engine"].sudo()._discount_products()
        return super()._get_special_products() | products

    def open_ui(self):
        self.env["loyalty.engine.recovery"].sudo()._wake()
        return super().open_ui()

    def _get_forbidden_change_fields(self):
        # A member on an open order belongs to the tenant that knew the code.
        return [*super()._get_forbidden_change_fields(), "loyalty_engine_id"]
