import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..engine import (
    DEFAULT_REDEEM_TEMPLATE,
    DEFAULT_REFUND_TEMPLATE,
    EVENT_TYPE_PATTERN,
    EngineError,
    PointsFacts,
    TemplateError,
    build_points_event,
    check_points_template,
    points_path,
)

# Seconds, by the till's own clock, that the step that spends may take: with what is drawn after it,
# a cashier waits for 8 at most.
TILL_SPEND_LIMIT = 7.5
# Spent in a rehearsal: a reactor that takes 7 points for it goes by points, not by money.
REHEARSAL = PointsFacts(
    redemption_id="00000000-0000-4000-8000-000000000000",
    transaction_id="00000000-0000-4000-8000-000000000000",
    points=Decimal(7),
    amount=Decimal(1000),
    currency="EUR",
    currency_decimals=2,
    store_id="1",
    till_id="pos-1",
    cashier_id="user-1",
    occurred_at=datetime(2026, 1, 2, 10, 11, 12, tzinfo=timezone.utc),
)
LIMITS = ("points_min", "points_max", "points_max_day", "most_of_a_reward", "pin_above")
POINTS_TEMPLATES = {"redeem_template": "redeem_event_type", "refund_template": "refund_event_type"}


class LoyaltyEngine(models.Model):
    """The part of a connection that is about spending: vouchers, points, and their limits."""

    _inherit = "loyalty.engine"

    accepts_vouchers = fields.Boolean()
    burn_moment = fields.Selection(
        [("payment", "When it comes to paying"), ("at_once", "At once")],
        string="Vouchers Are Burned",
        required=True,
        default="payment",
        help="A burned voucher can't be given back. At once is the integration guide's simple "
        "flow: a customer who walks away has lost the voucher, and a case is opened.",
    )
    voucher_user = fields.Selection(
        [
            ("none", "Not sent"),
            ("ref", "The engine's id"),
            ("account_number", "The account number"),
            ("auth_identifier", "The auth identifier"),
        ],
        string="Member Sent with a Voucher",
        required=True,
        default="none",
        help="What is sent as userIdentifier. What the engine makes of it is not published.",
    )
    most_vouchers = fields.Integer(
        string="Most Vouchers on a Sale", default=5, help="0 = no limit."
    )
    most_of_a_reward = fields.Integer(
        string="Most of the Same Reward", default=0, help="On one sale. 0 = no limit."
    )
    sku_reading = fields.Selection(
        [
            ("applies_to", "What the discount applies to"),
            ("add", "What is to be added to the basket"),
        ],
        string="A Discount's SKU Is",
        required=True,
        default="applies_to",
        help="Both readings are published. A SKU may also be a product category: its name, or its "
        "full name such as Drinks / Coffee. Categories below it count.",
    )
    discount_units = fields.Selection(
        [("one", "One unit"), ("all", "All units")],
        string="A Discount for a SKU Covers",
        required=True,
        default="one",
        help="One unit is the dearest that no other voucher of the sale is on. An amount of money "
        "is taken off once, however many units there are.",
    )
    discount_product_id = fields.Many2one(
        "product.product",
        required=True,
        ondelete="restrict",
        domain="[('type', '=', 'service'), ('company_id', 'in', (False, company_id))]",
        default=lambda self: self._default_discount_product(),
        help="The product of discount lines. Its income account is where discounts are booked; its "
        "taxes don't matter: a discount has the taxes of what it is on.",
    )
    reward_unit = fields.Selection(
        [("decimal", "Decimal (30.00)"), ("minor", "Smallest unit (3000)")],
        string="Smallest Basket of a Reward",
        required=True,
        default="decimal",
        help="The unit of minTransactionAmount and maxTransactionAmount is not published.",
    )
    hold_minutes = fields.Integer(
        string="Hold For",
        default=15,
        help="Minutes for which a voucher or points on an open order are kept from other orders.",
    )

    discounts_earn = fields.Boolean(
        string="Discounts Earn Points",
        help="Points are earned on the price before vouchers and points took something off. "
        "Otherwise on what was paid.",
    )

    redeem_event_type = fields.Char(string="Event Type of Spent Points", default="REDEEMED_POINTS")
    refund_event_type = fields.Char(
        string="Event Type of Points Given Back", default="POINTS_REFUND"
    )
    redeem_template = fields.Text(
        string="Payload of Spent Points",
        default=lambda self: json.dumps(DEFAULT_REDEEM_TEMPLATE, indent=2),
    )
    refund_template = fields.Text(
        string="Payload of Points Given Back",
        default=lambda self: json.dumps(DEFAULT_REFUND_TEMPLATE, indent=2),
    )
    rehearsal_member = fields.Char(
        string="Member for Rehearsals",
        help="Engine id or account number of a member of yours. The engine is asked what spending "
        "money's worth would take from them; nothing is taken. Its reactor must go by $amount.",
    )
    points_ready = fields.Boolean(
        string="Points Can Be Spent",
        readonly=True,
        copy=False,
        help="Set by the test of the connection: both event types are there, and keep our id, by "
        "which a lost answer is found again.",
    )
    can_read_reactions = fields.Boolean(
        string="Reactions Can Be Read",
        default=True,
        help="Where the credentials may read what an event has set off. Otherwise points count as "
        "not yet taken for as long as a request can be late.",
    )
    points_step = fields.Integer(default=1, help="Points are spent in multiples of this.")
    points_min = fields.Integer(string="Fewest Points on a Sale", default=0)
    points_max = fields.Integer(string="Most Points on a Sale", default=0, help="0 = no limit.")
    points_max_day = fields.Integer(
        string="Most Points a Day",
        default=0,
        help="For one member in 24 hours, at all tills of this database. 0 = no limit.",
    )
    points_payment_earns = fields.Boolean(
        string="Paying with Points Earns Points",
        help="What is paid with points, where that is a payment, counts for points to be earned.",
    )
    own_card_only = fields.Boolean(
        string="Only with the Member's Own Code",
        help="Spending takes a code that was scanned on this order. A member who was picked as a "
        "customer, or whose number was typed, only earns. How a member came is what the till says.",
    )
    pin_above = fields.Float(
        string="Manager's PIN Above",
        digits=(16, 2),
        copy=False,
        help="Points worth more than this on one sale take a PIN. 0 = never.",
    )
    manager_pin = fields.Char(
        string="Manager's PIN", groups="base.group_system", copy=False, help="4 to 12 digits."
    )

    @api.constrains("hold_minutes", "points_step", "most_vouchers", *LIMITS)
    def _check_spending_limits(self):
        for engine in self:
            if not (
                1 <= engine.hold_minutes <= 240
                and engine.points_step >= 1
                and 0 <= engine.most_vouchers <= 20
                and all(engine[name] >= 0 for name in LIMITS)
            ):
                raise ValidationError(
                    self.env._(
                        "A hold lasts 1 to 240 minutes, points are spent in steps of at least 1, "
                        "at most 20 vouchers go on a sale, and no limit is below 0."
                    )
                )

    @api.constrains(*POINTS_TEMPLATES, *POINTS_TEMPLATES.values())
    def _check_points_events(self):
        for engine in self:
            for name, type_name in POINTS_TEMPLATES.items():
                if not (
                    2 <= len(engine[type_name] or "") <= 64
                    and re.fullmatch(EVENT_TYPE_PATTERN, engine[type_name])
                ):
                    raise ValidationError(
                        self.env._(
                            "An event type has 2 to 64 characters: capital letters, in words "
                            "joined by one underscore each, such as REDEEMED_POINTS."
                        )
                    )
                try:
                    check_points_template(engine._template(name))
                except TemplateError as error:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(problem)s",
                            field=engine._fields[name].string,
                            problem=error,
                        )
                    ) from error
                if not points_path(engine._template(name)):
                    raise ValidationError(
                        self.env._(
                            "%s must carry $redemption_id: by it a lost answer is found again.",
                            engine._fields[name].string,
                        )
                    )

    @api.constrains("pin_above", "manager_pin")
    def _check_pin(self):
        for engine in self.sudo():
            if engine.manager_pin and not re.fullmatch(r"[0-9]{4,12}", engine.manager_pin):
                raise ValidationError(self.env._("The manager's PIN has 4 to 12 digits."))
            if engine.pin_above and not engine.manager_pin:
                raise ValidationError(
                    self.env._("An amount that takes a PIN needs the manager's PIN.")
                )

    def write(self, vals):
        tenant = {"rewards_url", "client_id", "api_key"}
        if vals.keys() & {*POINTS_TEMPLATES, *POINTS_TEMPLATES.values(), *tenant}:
            # To be tested again.
            vals = {**vals, "points_ready": False}
        return super().write(vals)

    def _till_data(self, config):
        data = super()._till_data(config)
        if data:
            engine = self.sudo()
            data.update(
                vouchers=engine.accepts_vouchers,
                points_booking=(engine.points_ready and config.loyalty_engine_points_booking) or "",
                sku_source=engine.sku_source,
                sku_reading=engine.sku_reading,
                units=engine.discount_units,
                discount_product_id=engine.discount_product_id.id,
                spend_limit=TILL_SPEND_LIMIT,
                discounts_earn=engine.discounts_earn,
                points_payment_earns=engine.points_payment_earns,
                can_read_reactions=engine.can_read_reactions,
            )
        return data

    # === The product of discounts ===

    @api.model
    def _default_discount_product(self):
        product = self.env.ref("pos_loyalty_engine.product_discount", raise_if_not_found=False)
        return product or self.env["product.product"]

    @api.model
    def _complete_discount_products(self):
        """Give connections from before there was a discount product the default one."""
        # Not by search: the field is required, and Odoo looks for none without it.
        self.env.cr.execute(
            "UPDATE loyalty_engine SET discount_product_id = %s WHERE discount_product_id IS NULL",
            (self._default_discount_product().id,),
        )
        self.invalidate_model(["discount_product_id"])

    @api.model
    def _discount_products(self):
        """The products of discounts of all connections."""
        groups = self._read_group([("discount_product_id", "!=", False)], ["discount_product_id"])
        return self._default_discount_product().union(*(product for (product,) in groups))

    # === What points are worth ===

    def _points_to_amount(self, points, rate, decimals):
        """The worth of ``points``, rounded down to the smallest unit of the currency: the shop
        never gives more than the points are worth.

        :param points: Decimal
        :param rate: Decimal, currency units for a point
        :param decimals: of the currency
        """
        return (points * rate).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_FLOOR)

    def _amount_to_points(self, amount, rate, decimals, step):
        """The fewest points, in whole steps, that are worth at least ``amount``."""
        points = (amount / rate / step).to_integral_value(rounding=ROUND_CEILING) * step
        while points > 0 and self._points_to_amount(points - step, rate, decimals) >= amount:
            points -= step
        while self._points_to_amount(points, rate, decimals) < amount:
            points += step
        return points

    def _read_points_value(self, client, deadline=None):
        if self.points_value_source != "reaction":
            return super()._read_points_value(client, deadline)
        if not self.rehearsal_member:
            raise ValueError(self.env._("there is no member for rehearsals"))
        currency = self._rehearsal_currency()
        facts = replace(
            REHEARSAL, currency=currency.name, currency_decimals=currency.decimal_places
        )
        body = self._points_body(facts, self.rehearsal_member)
        taken = client.test_reaction(body, deadline=deadline).points
        if taken is None or taken >= 0:
            raise ValueError(self.env._("the rehearsal took no points"))
        if -taken == REHEARSAL.points:
            raise ValueError(self.env._("the engine's reactor goes by points, not by money"))
        return f"{REHEARSAL.amount / -taken:.8f}"

    def _rehearsal_currency(self):
        """What the value of a point is in: the currency of the tills, where that is one."""
        currencies = self.config_ids.currency_id
        return currencies if len(currencies) == 1 else self.company_id.currency_id

    # === Bodies ===

    def _points_body(self, facts, member_ref, is_refund=False):
        """The bytes that report spent points, or give them back.

        :param facts: PointsFacts
        :raises ValueError: when the template or the facts don't make a valid body
        """
        name = "refund_template" if is_refund else "redeem_template"
        return build_points_event(
            facts,
            self._template(name),
            self[POINTS_TEMPLATES[name]],
            subject=member_ref,
            executor=facts.till_id,
            amount_unit=self.amount_unit,
        )

    # === The test ===

    def _check_steps(self):
        steps = super()._check_steps()
        if any(config.loyalty_engine_points_booking for config in self.config_ids):
            steps += self._check_points_steps()
        return steps

    def _check_points_steps(self):
        """Whether points have a value, both event types are there and keep our id, and what became
        of a lost answer can be seen; decides ``points_ready``."""
        steps = [
            (bool(self._known_points_value()), self.env._("It is known what a point is worth"))
        ]
        try:
            client = self._client()
            for name, type_name in POINTS_TEMPLATES.items():
                event_type = client.get_event_type(self[type_name])
                is_there = event_type.is_active is not False
                keeps = event_type.keeps(points_path(self._template(name)))
                steps.append(
                    (
                        is_there and keeps,
                        self.env._("The event type %s exists and keeps our id", self[type_name]),
                    )
                )
            events = client.list_events(limit=1)
            tells = not events or events[0].payload is not None
            steps.append((tells, self.env._("Spent points can be looked up")))
            if self.can_read_reactions and events:
                client.get_event_reactions(events[0].id)
                steps.append((True, self.env._("Reactions can be read")))
        except (EngineError, ValueError) as error:
            steps.append((False, self.env._("Spending points: %s", self._in_words(error))))
        self.sudo().points_ready = all(works for works, _text in steps)
        return steps
