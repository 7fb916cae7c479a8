from odoo import api, fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    # Of the shop, which need not be that of the settings.
    loyalty_engine_company_id = fields.Many2one(
        related="pos_config_id.company_id", string="Company of the Shop"
    )
    pos_loyalty_engine_id = fields.Many2one(
        related="pos_config_id.loyalty_engine_id",
        readonly=False,
        domain="[('company_id', '=', loyalty_engine_company_id)]",
    )
    pos_loyalty_engine_store = fields.Char(
        related="pos_config_id.loyalty_engine_store", readonly=False
    )
    pos_loyalty_engine_venue = fields.Char(
        related="pos_config_id.loyalty_engine_venue", readonly=False
    )
    pos_loyalty_engine_latitude = fields.Float(
        related="pos_config_id.loyalty_engine_latitude", readonly=False
    )
    pos_loyalty_engine_longitude = fields.Float(
        related="pos_config_id.loyalty_engine_longitude", readonly=False
    )
    pos_loyalty_engine_points_booking = fields.Selection(
        related="pos_config_id.loyalty_engine_points_booking", readonly=False
    )
    pos_loyalty_engine_points_idle = fields.Boolean(
        compute="_compute_pos_loyalty_engine_points_idle",
        help="A payment method for points is among the methods, and points are no payment here.",
    )

    @api.depends(
        "pos_loyalty_engine_id", "pos_payment_method_ids", "pos_loyalty_engine_points_booking"
    )
    def _compute_pos_loyalty_engine_points_idle(self):
        for settings in self:
            is_payment = settings.pos_loyalty_engine_points_booking == "payment"
            settings.pos_loyalty_engine_points_idle = not (
                settings.pos_loyalty_engine_id and is_payment
            ) and any(
                method._is_loyalty_engine_points() for method in settings.pos_payment_method_ids
            )
