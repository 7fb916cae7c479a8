"""Customers in numbers that no form would ever be filled in for."""

# What each customer has of its own; the rest is as in the row that is copied.
OWN = ("id", "name", "complete_name", "commercial_partner_id", "barcode")
IDENTIFIERS = (
    "loyalty_engine_ref",
    "loyalty_engine_account_number",
    "loyalty_engine_auth_identifier",
)


def add(database, customers):
    """Insert customers as SQL does it, in a second for a hundred thousand.

    :param customers: list of (engine id, account number, auth identifier) of the members whom they
        are linked to; of None: a customer who is no member
    """
    columns = [
        name
        for (name,) in database.query(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'res_partner'"
            " AND table_schema = current_schema() AND is_generated = 'NEVER'"
        )
        if name not in OWN + IDENTIFIERS
    ]
    linked = IDENTIFIERS if any(customers) else ()
    (like,) = database.query("SELECT partner_id FROM res_users WHERE login = 'admin'")[0]
    first = database.value("SELECT max(id) + 1 FROM res_partner")
    names = ", ".join(["id", "commercial_partner_id", "name", "complete_name", *linked, *columns])
    own = ", ".join(
        ["new.id", "new.id", "new.name", "new.name", *(f"new.{name}" for name in linked)]
    )
    database.insert(
        f"INSERT INTO res_partner ({names}) SELECT {own}, "
        + ", ".join(f"old.{name}" for name in columns)
        + f" FROM (VALUES %s) AS new (id, name{''.join(f', {name}' for name in linked)})"
        f" JOIN res_partner old ON old.id = {like:d}",
        [
            (first + number, f"Customer {first + number:06d}", *(member or ()))
            for number, member in enumerate(customers)
        ],
    )
    database.query("SELECT setval('res_partner_id_seq', %s)", (first + len(customers),))
    database.query("ANALYZE res_partner")
