from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """A report says where it was sent since this version. One that has its bytes from before went
    where the connection's settings say, and goes, and is looked for, there."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    reports = env["loyalty.engine.report"].search(
        [("body", "!=", False), ("way", "=", False), ("state", "!=", "sent")]
    )
    alike = reports.grouped(lambda report: (report.engine_id, report.kind))
    for (engine, kind), group in alike.items():
        way, event_type, event_path = env["loyalty.engine.sender"]._destination(engine, kind)
        group.write({"way": way, "event_type": event_type, "event_path": event_path})
