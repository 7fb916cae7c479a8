def migrate(cr, version):
    """The job that clears up redemptions comes first of what is due; where somebody has given it
    another priority than Odoo's own, that stays."""
    cr.execute("""
        UPDATE ir_cron SET priority = 1
          FROM ir_model_data data
         WHERE data.module = 'pos_loyalty_engine' AND data.name = 'ir_cron_recover_redemptions'
           AND data.model = 'ir.cron' AND data.res_id = ir_cron.id AND ir_cron.priority = 5
    """)
