from odoo import SUPERUSER_ID, api

from odoo.addons.pos_loyalty_engine.engine import points_path


def migrate(cr, version):
    """Points that were sent say as what, since this version. Those from before, as far as they may
    still be looked for, went as their connection says."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    for engine in env["loyalty.engine"].with_context(active_test=False).search([]):
        cr.execute(
            """
            UPDATE loyalty_engine_redemption SET event_type = %s, event_path = %s
             WHERE engine_id = %s AND kind = 'points' AND event_type IS NULL
               AND sent_at IS NOT NULL
            """,
            (
                engine.redeem_event_type or "",
                points_path(engine._template("redeem_template")),
                engine.id,
            ),
        )
