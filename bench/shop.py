"""What is prepared and counted inside Odoo: ``python -m bench.shop TASK ARGUMENTS``.

Arguments and result are JSON. Runs in a process of its own, on the database of ``$ODOO_RC``.
"""

import json
import sys
import time

PASSWORD = "bench"


def make(env, cashiers, products, connection=None, program=False):
    """A shop with an open till.

    :param connection: values of a ``loyalty.engine``; None: the till has none
    :param program: whether to make a loyalty program of ``pos_loyalty``
    :return: ids and logins
    """
    company = env.company
    config = env["pos.config"].browse(
        env["pos.config"].load_onboarding_retail_scenario()["config_id"]
    )
    # The bound is on what the module adds: no picture is loaded, no printer asked.
    category = env["pos.category"].create({"name": "Everything"})
    env["product.template"].create(
        [
            {
                "name": f"Product {number}",
                "default_code": f"SKU-{number:04d}",
                "list_price": 1 + number % 40,
                "available_in_pos": True,
                "pos_categ_ids": [(6, 0, category.ids)],
            }
            for number in range(products)
        ]
    )
    sellers = env["product.product"].search([("default_code", "=like", "SKU-%")], limit=3)
    groups = env.ref("base.group_user") + env.ref("point_of_sale.group_pos_user")
    users = env["res.users"].create(
        [
            {
                "name": f"Cashier {number}",
                "login": f"cashier{number}",
                "password": PASSWORD,
                "company_id": company.id,
                "company_ids": [(6, 0, company.ids)],
                "group_ids": [(6, 0, groups.ids)],
            }
            for number in range(cashiers)
        ]
    )
    if connection:
        engine = env["loyalty.engine"].create({"name": "Bench", **connection})
        config.write({"loyalty_engine_id": engine.id, "loyalty_engine_store": "372"})
        # Account numbers are cards here, as in a shop that prints them.
        env["barcode.rule"].create(
            {
                "name": "Account numbers",
                "barcode_nomenclature_id": company.nomenclature_id.id,
                "type": "loyalty_engine_member",
                "encoding": "any",
                "pattern": "20.....",
                "sequence": 1,
            }
        )
    if program:
        env["loyalty.program"].create_from_template("loyalty")
    config.with_user(users[0]).open_ui()
    session = config.current_session_id
    session.with_user(users[0]).set_opening_control(0, "")
    cash = config.payment_method_ids.filtered("is_cash_count")[:1]
    return {
        "config_id": config.id,
        "session_id": session.id,
        "cashiers": users.mapped("login"),
        "payment_method_id": cash.id,
        "products": [{"id": product.id, "price": product.lst_price} for product in sellers],
    }


def load(env, login, session_id, runs=5):
    """What the till's load costs on the server: queries (the least of the runs), milliseconds,
    bytes of the answer."""
    user = env["res.users"].search([("login", "=", login)])
    found = []
    for _run in range(runs):
        env.invalidate_all()
        session = env(user=user)["pos.session"].browse(session_id)
        queries, begin = env.cr.sql_log_count, time.monotonic()
        data = session.load_data([])
        found.append(
            (
                env.cr.sql_log_count - queries,
                (time.monotonic() - begin) * 1000,
                len(json.dumps(data, default=str)),
                len(data["res.partner"]),
            )
        )
    queries, milliseconds, size, customers = min(found)
    return {
        "queries": queries,
        "milliseconds": min(entry[1] for entry in found),
        "bytes": size,
        "customers": customers,
    }


def main(tasks):
    """Run the one of ``tasks`` (dict of name to function) that the command line names."""
    from odoo import SUPERUSER_ID, api
    from odoo.modules.registry import Registry
    from odoo.tools import config

    config.parse_config(["--no-http", "--log-level", "warn"], setup_logging=True)
    task, arguments = sys.argv[1], json.loads(sys.argv[2])
    (database,) = config["db_name"]
    with Registry(database).cursor() as cr:
        env = api.Environment(cr, SUPERUSER_ID, {"lang": "en_US"})
        result = tasks[task](env, **arguments)
        env.flush_all()
    print(json.dumps(result))


if __name__ == "__main__":
    main({"make": make, "load": load})
