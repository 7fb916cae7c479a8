"""What is prepared inside Odoo: ``python -m drill.shop TASK ARGUMENTS``."""

from bench.shop import PASSWORD, main


def make(env, tills, connection, others):
    """Points of sale with open sessions. They share a connection, and every second one of them
    books points as a payment.

    :param tills: how many, each with a cashier of its own
    :param others: by name, values of connections that have one more till each
    :return: ids and logins
    """
    _keep_our_jobs_only(env)
    company = env.company
    first = env["pos.config"].browse(
        env["pos.config"].load_onboarding_retail_scenario()["config_id"]
    )
    engines = [env["loyalty.engine"].create({"name": "Drill", **connection})] * tills
    engines += [
        env["loyalty.engine"].create({"name": name, **connection, **values})
        for name, values in others.items()
    ]
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
                # Of a stock there is nothing to be learned here, and much to be computed.
                "type": "service",
                "taxes_id": [(5, 0, 0)],
            }
            for number, price in enumerate((7.5, 12.35, 29.99))
        ]
    )
    groups = env.ref("base.group_user") + env.ref("point_of_sale.group_pos_user")
    discount = _discount_product(env)
    configs, users = env["pos.config"], []
    for number, engine in enumerate(engines):
        config = first.copy({"name": f"Till {number}", "payment_method_ids": [(6, 0, bank.ids)]})
        config.write(
            {
                "loyalty_engine_id": engine.id,
                "loyalty_engine_store": "372",
                "loyalty_engine_points_booking": "discount",
                "cash_control": False,
            }
        )
        configs += config
        users.append(
            env["res.users"].create(
                {
                    "name": f"Cashier {number}",
                    "login": f"cashier{number}",
                    "password": PASSWORD,
                    "company_id": company.id,
                    "company_ids": [(6, 0, company.ids)],
                    "group_ids": [(6, 0, groups.ids)],
                }
            )
        )
    wizard = env["loyalty.engine.points.payment"].create(
        {"company_id": company.id, "config_ids": [(6, 0, configs[1:tills:2].ids)]}
    )
    wizard.action_set_up()
    made = []
    for config, user in zip(configs, users, strict=True):
        config.with_user(user).open_ui()
        session = config.current_session_id
        session.with_user(user).set_opening_control(0, "")
        made.append({"config_id": config.id, "session_id": session.id, "login": user.login})
    return {
        "engine_id": engines[0].id,
        "company_id": company.id,
        "currency": company.currency_id.name,
        "tills": made[:tills],
        "others": dict(zip(others, made[tills:], strict=True)),
        "payment_method_id": bank.id,
        "points_method_id": configs[1:2]._loyalty_engine_points_methods().id,
        "products": [{"id": product.id, "price": product.lst_price} for product in products],
        "discount_product_id": discount.id,
    }


def _keep_our_jobs_only(env):
    """Odoo's other jobs have nothing to do here, and take their time for it."""
    ours = env["ir.model.data"].search(
        [("module", "=", "pos_loyalty_engine"), ("model", "=", "ir.cron")]
    )
    env["ir.cron"].search([("id", "not in", ours.mapped("res_id"))]).active = False


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
