"""Builds scripts and styles of pages, which Odoo does when a browser first asks for them.

Run by bin/test inside Odoo's Python, with the names of the bundles.
"""

import argparse

import odoo
from odoo.modules.registry import Registry


def build_bundles(env, names):
    """Build these bundles, as far as they are not there yet."""
    for name in names:
        bundle = env["ir.qweb"]._get_asset_bundle(name)
        if bundle.javascripts:
            bundle.js()
        if bundle.stylesheets:
            bundle.css()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="Odoo's configuration file")
    parser.add_argument("bundles", nargs="+", help="names of bundles")
    arguments = parser.parse_args()
    odoo.tools.config.parse_config(["--config", arguments.config])
    with Registry(odoo.tools.config["db_name"][0]).cursor() as cr:
        build_bundles(odoo.api.Environment(cr, odoo.api.SUPERUSER_ID, {}), arguments.bundles)


if __name__ == "__main__":
    main()
