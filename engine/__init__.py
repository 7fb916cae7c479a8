"""How one speaks to White Label Loyalty's Loyalty Engine: plain Python that knows no Odoo.

Read in this order: `errors` (what a failed call means for its effect), `settings` (where and as
whom), `client` (a method per endpoint), `transport` (time limits, and what counts as sent),
`credentials` (tokens), `answers` (what comes back), `discounts` (what a voucher is worth), `bodies`
(what may go out), `pace` (how fast).

Facts about the API carry the tag of their source in the docstrings: (S) the published guide
"Integrating with POS", (D-...) a page of the public documentation, (C-...) public code. (I) is a
reading of ours where nothing is published: not a fact, and where it decides something, a setting.
"""

from .answers import (
    Benefit,
    Event,
    EventType,
    OrderReceipt,
    Reactions,
    Reward,
    Tier,
    User,
    VoucherCheck,
    Wallet,
)
from .bodies import (
    AMOUNT_UNITS,
    DEFAULT_EVENT_TEMPLATE,
    DEFAULT_ORDER_TEMPLATE,
    DEFAULT_REDEEM_TEMPLATE,
    DEFAULT_REFUND_TEMPLATE,
    EVENT_TYPE_PATTERN,
    BodyError,
    PointsFacts,
    Position,
    SaleFacts,
    SaleLine,
    SalePayment,
    SaleRedemption,
    TemplateError,
    build_order,
    build_points_event,
    build_sale_event,
    check_event_template,
    check_order_template,
    check_points_template,
    fact_path,
    points_path,
)
from .client import LoyaltyEngineClient
from .discounts import (
    ABSOLUTE,
    FIXED,
    PERCENTAGE,
    Discount,
    DiscountUnreadable,
    read_discounts,
)
from .errors import (
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineLookupIncomplete,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineThrottled,
    EngineUnreachable,
)
from .settings import (
    ENVIRONMENTS,
    TEST_REACTION_PATHS,
    EngineSettings,
    Environment,
    check_address,
)

__all__ = [
    "ABSOLUTE",
    "AMOUNT_UNITS",
    "DEFAULT_EVENT_TEMPLATE",
    "DEFAULT_ORDER_TEMPLATE",
    "DEFAULT_REDEEM_TEMPLATE",
    "DEFAULT_REFUND_TEMPLATE",
    "ENVIRONMENTS",
    "EVENT_TYPE_PATTERN",
    "FIXED",
    "PERCENTAGE",
    "TEST_REACTION_PATHS",
    "Benefit",
    "BodyError",
    "Discount",
    "DiscountUnreadable",
    "EngineAnswerUnreadable",
    "EngineAuthFailed",
    "EngineError",
    "EngineLookupIncomplete",
    "EngineOutcomeUnknown",
    "EngineRejected",
    "EngineSettings",
    "EngineThrottled",
    "EngineUnreachable",
    "Environment",
    "Event",
    "EventType",
    "LoyaltyEngineClient",
    "OrderReceipt",
    "PointsFacts",
    "Position",
    "Reactions",
    "Reward",
    "SaleFacts",
    "SaleLine",
    "SalePayment",
    "SaleRedemption",
    "TemplateError",
    "Tier",
    "User",
    "VoucherCheck",
    "Wallet",
    "build_order",
    "build_points_event",
    "build_sale_event",
    "check_address",
    "check_event_template",
    "check_order_template",
    "check_points_template",
    "fact_path",
    "points_path",
    "read_discounts",
]
