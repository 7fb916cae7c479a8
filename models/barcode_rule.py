from odoo import fields, models


class BarcodeRule(models.Model):
    _inherit = "barcode.rule"

    type = fields.Selection(
        selection_add=[
            ("loyalty_engine_member", "Loyalty Engine Member"),
            ("loyalty_engine_voucher", "Loyalty Engine Voucher"),
        ],
        ondelete={
            "loyalty_engine_member": "set default",
            "loyalty_engine_voucher": "set default",
        },
    )
