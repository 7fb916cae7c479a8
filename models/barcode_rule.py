from odoo import fields, models


class BarcodeRule(models.Model):
    _inherit = "barcode.rule"

    type = fields.Selection(
        selection_add=[("loyalty_engine_member", "Loyalty Engine Member")],
        ondelete={"loyalty_engine_member": "set default"},
    )
