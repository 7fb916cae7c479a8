def migrate(cr, version):
    """A voucher is claimed once in a tenant since this version, whichever connection asks. Before
    the index that sees to it is built, the keys must say where their codes are of; and of two rows
    that had one claim in two connections only one keeps it, the one that may still be open."""
    cr.execute("""
        UPDATE loyalty_engine_redemption redemption
           SET claim_key = encode(sha256(convert_to(
                CASE WHEN redemption.is_local THEN 'own ' || engine.id
                     ELSE rtrim(engine.rewards_url, '/') || ' ' || COALESCE(engine.client_id, '')
                END || ' ' || redemption.claim_key, 'UTF8')), 'hex')
          FROM loyalty_engine engine
         WHERE engine.id = redemption.engine_id AND redemption.claim_key IS NOT NULL
    """)
    cr.execute("""
        UPDATE loyalty_engine_redemption redemption
           SET claim_key = redemption.claim_key || ' ' || redemption.id
          FROM (SELECT id, row_number() OVER (
                           PARTITION BY claim_key
                           ORDER BY state IN ('settled', 'stranded', 'made_good'), id DESC) AS place
                  FROM loyalty_engine_redemption
                 WHERE claim_key IS NOT NULL
                   AND state NOT IN ('released', 'expired', 'refused', 'returned')) claims
         WHERE claims.id = redemption.id AND claims.place > 1
    """)
