{
    "name": "POS Loyalty Engine",
    "version": "19.0.1.8.0",
    "category": "Sales/Point of Sale",
    "summary": "Members of White Label Loyalty's Loyalty Engine at the till: "
    "identify, show the wallet, spend vouchers and points, report every sale",
    "author": "POS Loyalty Engine contributors",
    "license": "LGPL-3",
    "depends": ["point_of_sale", "mail"],
    "external_dependencies": {"python": ["requests"]},
    "data": [
        "security/ir.model.access.csv",
        "security/loyalty_engine_security.xml",
        "data/barcode_rule_data.xml",
        "data/product_data.xml",
        "data/ir_cron_data.xml",
        "views/loyalty_engine_report_views.xml",
        "views/loyalty_engine_redemption_views.xml",
        "wizard/loyalty_engine_points_payment_views.xml",
        "views/loyalty_engine_views.xml",
        "views/pos_config_views.xml",
        "views/pos_order_views.xml",
        "views/res_partner_views.xml",
        "views/res_config_settings_views.xml",
        "views/loyalty_engine_menus.xml",
    ],
    "images": ["static/description/banner.png"],
    "uninstall_hook": "uninstall_hook",
    "assets": {
        "point_of_sale._assets_pos": ["pos_loyalty_engine/static/src/app/**/*"],
        # Fetched once the till stands (static/src/app/utils/popups.js).
        "pos_loyalty_engine.assets_popups": ["pos_loyalty_engine/static/src/popups/**/*"],
        "point_of_sale.customer_display_assets": [
            "pos_loyalty_engine/static/src/customer_display/**/*"
        ],
        "web.assets_tests": ["pos_loyalty_engine/static/tests/tours/**/*"],
        # Needs the till's own code: a test loads it into a till.
        "pos_loyalty_engine.assets_test_baskets": [
            "pos_loyalty_engine/static/tests/generic_helpers/**/*"
        ],
        "web.assets_unit_tests": [
            "pos_loyalty_engine/static/src/popups/**/*",
            "pos_loyalty_engine/static/tests/generic_helpers/**/*",
            "pos_loyalty_engine/static/tests/unit/**/*",
        ],
    },
}
