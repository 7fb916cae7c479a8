def migrate(cr, version):
    """Limits are checked before they are stored: what PostgreSQL refuses stands in the log, with
    the secrets of the same row."""
    cr.execute("""
        ALTER TABLE loyalty_engine
            DROP CONSTRAINT IF EXISTS loyalty_engine_deadlines,
            DROP CONSTRAINT IF EXISTS loyalty_engine_late_after,
            DROP CONSTRAINT IF EXISTS loyalty_engine_spending_limits
    """)
