"""What is prepared inside Odoo: ``python -m drill.shop TASK ARGUMENTS``."""

from bench.shop import PASSWORD, main


def make(env, tills, connection):
    """Points of sale that share a connection and open sessions.

    :param tills: how many, each with a cashier of its own
    :return: ids and logins
    """
    company = env.company
    first = env["pos.config"].browse(
        env["pos.config"].load_onboarding_retail_scenario()["config_id"]
    )
    engine = env["loyalty.engine"].create({"name": "Drill", **connection})
    bank = env["pos.payment.method"].create(
        {
            "name": "Drill card",
            "journal_id": env["account.journal"]
            .search([("type", "=", "bank"), ("company_id", "=", company.id)], limit=1)
            .id,
            "company_id": company.id,
        }
    )
    products = env["product.product"].create(
        [
            {
                "name": f"Product {number}",
                "default_code": f"SKU-{number}",
                "list_price": price,
                "available_in_pos": True,
                "taxes_id": [(5, 0, 0)],
            }
            for number, price in enumerate((7.5, 12.35, 29.99))
        ]
    )
    groups = env.ref("base.group_user") + env.ref("point_of_sale.group_pos_user")
    discount = _discount_product(env)
    made = []
    for number in range(tills):
        config = first.copy({"name": f"Till {number}", "payment_method_ids": [(6, 0, bank.ids)]})
        config.write(
            {
                "loyalty_engine_id": engine.id,
                "loyalty_engine_store": "372",
                "loyalty_engine_points_booking": "discount",
                "cash_control": False,
            }
        )
        user = env["res.users"].create(
            {
                "name": f"Cashier {number}",
                "login": f"cashier{number}",
                "password": PASSWORD,
                "company_id": company.id,
                "company_ids": [(6, 0, company.ids)],
                "group_ids": [(6, 0, groups.ids)],
            }
        )
        config.with_user(user).open_ui()
        session = config.current_session_id
        session.with_user(user).set_opening_control(0, "")
        made.append({"config_id": config.id, "session_id": session.id, "login": user.login})
    return {
        "engine_id": engine.id,
        "currency": company.currency_id.name,
        "tills": made,
        "payment_method_id": bank.id,
        "products": [{"id": product.id, "price": product.lst_price} for product in products],
        "discount_product_id": discount.id,
    }


def _discount_product(env):
    """Without taxes, as the goods here: what a discount is worth is another test's matter."""
    return env["product.product"].create(
        {
            "name": "Drill discount",
            "type": "service",
            "list_price": 0,
            "available_in_pos": True,
            "taxes_id": [(5, 0, 0)],
        }
    )


if __name__ == "__main__":
    main({"make": make})
