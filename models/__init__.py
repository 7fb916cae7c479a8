from . import (
    barcode_rule,
    loyalty_engine,
    loyalty_engine_health,
    loyalty_engine_lookup,
    loyalty_engine_report,
    loyalty_engine_sender,
    pos_config,
    pos_order,
    pos_order_discount,
    pos_order_line,
    res_config_settings,
    res_partner,
)
