"""The demo's shop: a bakery with products, cashiers and linked members of the sandbox engine.

Run by bin/demo inside Odoo's Python. Running it again only sets the sandbox's address anew.
"""

import argparse
import re
import sys
from pathlib import Path

import odoo
from odoo.modules.registry import Registry

sys.path.append(str(Path(__file__).parent.parent))
from sandbox import demo

CASHIERS = (("clara", "Clara Counter"), ("carl", "Carl Checkout"))
# The rest stay unlinked: a sale goes on with the member alone, and the cashier may link a customer.
LINKED = demo.MEMBERS[:3]
MODULE = "pos_loyalty_engine"

WELCOME = """
The till       {{odoo}}/pos/ui/{config}
               log in as {cashiers}; then "Open Register"
The office     {{odoo}}/odoo
               log in as admin / admin; reports are in Point of Sale > Orders
The engine     {{sandbox}}/
               its members, balances and events live, and a panel of faults

Member codes   {members}

What to try
  1. At the till press "Member" and type {first}: name, tier and points appear.
  2. Sell three products, pay cash: the receipt shows the points earned.
  3. See the event arrive on the engine's page.
  4. Press "Vouchers" and choose one, or type {voucher}; press "Use points". Nothing is spent yet:
     that happens when you press "Validate".
  5. Set "down" in the panel of faults and sell again: the sale closes all the same, and its
     report leaves by itself, within two minutes, once the engine is back.
"""


def ensure(env, name, model, values):
    """The record of that name, made from ``values()`` where there is none yet."""
    record = env.ref(f"{MODULE}.demo_{name}", raise_if_not_found=False)
    if not record:
        record = env[model].create(values())
        env["ir.model.data"]._update_xmlids(
            [{"xml_id": f"{MODULE}.demo_{name}", "record": record, "noupdate": True}]
        )
    return record


def make_shop(env):
    config = env.ref("point_of_sale.pos_config_bakery", raise_if_not_found=False)
    if config:
        return config
    env.ref("base.EUR").active = True
    # Before anything is booked or priced: afterwards the currency is fixed.
    env.company.write({"name": "Corner Bakery", "currency_id": env.ref("base.EUR").id})
    made = env["pos.config"].load_onboarding_bakery_scenario()
    config = env["pos.config"].browse(made["config_id"])
    # The scenario's products have no reference, and a sale is reported by it.
    for product in env["product.product"].search(
        [("pos_categ_ids", "in", config.iface_available_categ_ids.ids)]
    ):
        product.default_code = re.sub(r"\W+", "-", product.name).upper()
    return config


def make_cashier(env, login, name):
    groups = env.ref("base.group_user") | env.ref("point_of_sale.group_pos_user")
    return ensure(
        env,
        f"user_{login}",
        "res.users",
        lambda: {"login": login, "password": login, "name": name, "group_ids": groups.ids},
    )


def make_customer(env, member):
    return ensure(
        env,
        f"partner_{member.account_number}",
        "res.partner",
        lambda: {
            "name": f"{member.given_name} {member.family_name}",
            "email": f"{member.given_name.lower()}@example.com",
            "loyalty_engine_ref": member.id,
            "loyalty_engine_account_number": member.account_number,
            "loyalty_engine_auth_identifier": member.auth_identifier,
        },
    )


def make_connection(env, config, address):
    addresses = {
        "rewards_url": f"{address}/v1",
        "receipts_url": f"{address}/receipts/v1",
        "token_url": f"{address}/oauth/token",
    }
    engine = ensure(
        env,
        "engine",
        "loyalty.engine",
        lambda: {
            **addresses,
            "name": "Sandbox",
            "environment": "custom",
            "api_key": demo.API_KEY,
            "client_id": demo.CLIENT_ID,
            "client_secret": demo.CLIENT_SECRET,
            "audience": demo.AUDIENCE,
            "event_secret": demo.EVENT_SECRET,
            "reporting": "event",
            "sale_event_type": "POS_SALE",
            "estimated_points_per_unit": 1,
            # The sandbox's faults are late by seconds, and nobody waits a quarter of an hour here.
            "late_after": 60,
            "accepts_vouchers": True,
            "voucher_user": "ref",
            # As Test Connection finds it: the sandbox's event types keep our id.
            "points_ready": True,
        },
    )
    # Only what differs: a session that is open forbids to change the point of sale.
    if engine.rewards_url != addresses["rewards_url"]:
        engine.write(addresses)
        # It is the same sandbox, on another port: nothing to test again.
        engine.points_ready = True
    if config.loyalty_engine_id != engine:
        config.write(
            {
                "loyalty_engine_id": engine.id,
                "loyalty_engine_store": "corner-bakery",
                "loyalty_engine_venue": "corner-bakery",
                "loyalty_engine_points_booking": "discount",
            }
        )


def warm_up(env):
    """Build the scripts and styles of the first pages, so that the first visitor need not wait."""
    scripts, styles = env["ir.qweb"]._get_bundles_to_pregenarate()
    wanted = re.compile(r"(web\.assets_(frontend\w*|web|web_print)|point_of_sale\.assets_prod)$")
    for bundles, links in ((scripts, "js"), (styles, "css")):
        for bundle in sorted(filter(wanted.match, bundles)):
            kinds = {"js": links == "js", "css": links == "css"}
            getattr(env["ir.qweb"]._get_asset_bundle(bundle, **kinds), links)()


def welcome(config):
    members = [
        f"{member.account_number}  {member.given_name} {member.family_name}, {member.tier}, "
        f"{member.points} points (as a scanner reads it: {member.id})"
        for member in LINKED
    ]
    return WELCOME.format(
        config=config.id,
        cashiers=" or ".join(f"{login} / {login}" for login, _name in CASHIERS),
        members="\n               ".join(members),
        first=LINKED[0].account_number,
        voucher=demo.BENEFITS[0].code,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="Odoo's configuration file")
    parser.add_argument("--sandbox", required=True, help="address of the sandbox engine")
    parser.add_argument("--welcome", required=True, type=Path, help="where to write the greeting")
    arguments = parser.parse_args()
    odoo.tools.config.parse_config(["--config", arguments.config])
    with Registry(odoo.tools.config["db_name"][0]).cursor() as cr:
        env = odoo.api.Environment(cr, odoo.api.SUPERUSER_ID, {})
        env = env(user=env.ref("base.user_admin"))
        config = make_shop(env)
        for login, name in CASHIERS:
            make_cashier(env, login, name)
        for member in LINKED:
            make_customer(env, member)
        make_connection(env, config, arguments.sandbox)
        env.flush_all()
        warm_up(env)
        arguments.welcome.write_text(welcome(config))


if __name__ == "__main__":
    main()
