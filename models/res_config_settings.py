from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    pos_loyalty_engine_id = fields.Many2one(
        related="pos_config_id.loyalty_engine_id", readonly=False, check_company=True
    )
    pos_loyalty_engine_store = fields.Char(
        related="pos_config_id.loyalty_engine_store", readonly=False
    )
