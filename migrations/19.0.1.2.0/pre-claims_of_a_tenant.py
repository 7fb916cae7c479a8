def migrate(cr, version):
    """A voucher is claimed once in a tenant since this version, whichever connection asks. Before
    the index that sees to it is built, the keys must say where their codes are of."""
    cr.execute("""
        UPDATE loyalty_engine_redemption redemption
           SET claim_key = encode(sha256(convert_to(
                CASE WHEN redemption.is_local THEN 'own ' || engine.id
                     ELSE rtrim(engine.rewards_url, '/') END || ' ' || redemption.claim_key,
                'UTF8')), 'hex')
          FROM loyalty_engine engine
         WHERE engine.id = redemption.engine_id AND redemption.claim_key IS NOT NULL
    """)
