def migrate(cr, version):
    """A member's id may begin like Odoo's discounts and customers do: its rule comes before
    them, where nobody has put it somewhere else."""
    cr.execute("""
        UPDATE barcode_rule SET sequence = 5
          FROM ir_model_data data
         WHERE data.module = 'pos_loyalty_engine' AND data.name = 'barcode_rule_member'
           AND data.model = 'barcode.rule' AND data.res_id = barcode_rule.id
           AND barcode_rule.sequence = 45
    """)
