def migrate(cr, version):
    """A request can be late for longer than anybody is at it, and for a minute at least."""
    cr.execute("""
        UPDATE loyalty_engine
           SET late_after = GREATEST(late_after, 60, ceil(background_deadline + 30)::integer)
         WHERE late_after < GREATEST(60, background_deadline + 30)
    """)
