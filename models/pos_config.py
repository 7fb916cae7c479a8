from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.http import request


def is_self_order():
    """Whether guests ask who order by themselves: the routes of pos_self_order are for everybody,
    and read what they show by the same methods as a till."""
    return bool(request) and request.httprequest.path.startswith(("/pos-self", "/kiosk"))


def hide_from_guests(records):
    """Take what is ours off what guests would read; :return: the same list of dict"""
    if is_self_order():
        for values in records:
            for name in [name for name in values if name.startswith("loyalty_engine_")]:
                del values[name]
    return records


class PosConfig(models.Model):
    _inherit = "pos.config"

    # Every readable field of this model is sent to the browser: nothing secret may stand here.
    loyalty_engine_id = fields.Many2one(
        "loyalty.engine",
        check_company=True,
        ondelete="restrict",
        index="btree_not_null",
        help="The connection that identifies members at this point of sale and is told its sales.",
    )
    loyalty_engine_since = fields.Datetime(
        string="Reports Sales Since",
        compute="_compute_loyalty_engine_since",
        store=True,
        help="When the connection was chosen. Orders created earlier are never reported to it.",
    )
    loyalty_engine_store = fields.Char(
        string="Store at the Loyalty Engine",
        help="The store's number or code as the Loyalty Engine knows it. Sent with each sale.",
    )
    loyalty_engine_venue = fields.Char(
        string="Venue at the Loyalty Engine",
        help="The venue's id or number. Sent with vouchers, and compared with those that a "
        "discount is limited to.",
    )
    loyalty_engine_latitude = fields.Float(
        string="Latitude", digits=(9, 6), help="Sent with vouchers, if it or the longitude is set."
    )
    loyalty_engine_longitude = fields.Float(string="Longitude", digits=(9, 6))
    loyalty_engine_points_booking = fields.Selection(
        [("discount", "As a discount"), ("payment", "As a payment")],
        string="Spend Points",
        help="How points that a member spends are booked. Empty: points are not spent here.",
    )
    loyalty_engine_trouble_count = fields.Integer(
        compute="_compute_loyalty_engine_trouble_count",
        groups="point_of_sale.group_pos_manager",
        help="Sales that could not be reported, or not for a day, and wait for a person.",
    )

    loyalty_engine_case_count = fields.Integer(
        compute="_compute_loyalty_engine_case_count",
        groups="point_of_sale.group_pos_manager",
        help="Points and vouchers that wait for a person.",
    )

    @api.constrains(
        "loyalty_engine_id",
        "loyalty_engine_points_booking",
        "payment_method_ids",
        "fast_payment_method_ids",
    )
    def _check_loyalty_engine_points_booking(self):
        for config in self:
            methods = config._loyalty_engine_points_methods()
            is_payment = config.loyalty_engine_id and (
                config.loyalty_engine_points_booking == "payment"
            )
            if is_payment and len(methods) != 1:
                raise ValidationError(
                    self.env._(
                        "%s books points as a payment, so it needs one payment method that takes "
                        "points. Set Up Points as a Payment, in the points of the connection, "
                        "makes it; or let points be spent as a discount, or not at all.",
                        config.name,
                    )
                )
            if methods & config.fast_payment_method_ids:
                raise ValidationError(
                    self.env._(
                        "A payment with points takes an amount first: it can't be one of the fast "
                        "payment methods of %s.",
                        config.name,
                    )
                )

    @api.constrains("active", "loyalty_engine_id", "loyalty_engine_points_booking", "journal_id")
    def _check_loyalty_engine_currency(self):
        """A connection has one value of a point, without a currency of its own."""
        for engine in self.loyalty_engine_id.sudo():
            spending = engine.config_ids.filtered("loyalty_engine_points_booking")
            if len(spending.currency_id) > 1:
                raise ValidationError(
                    self.env._(
                        "%(shops)s spend points with the connection %(connection)s, in different "
                        "currencies. A point is worth one amount there: give each currency a "
                        "connection of its own.",
                        shops=", ".join(spending.mapped("name")),
                        connection=engine.name,
                    )
                )

    @api.constrains("active", "loyalty_engine_id")
    def _check_loyalty_engine_is_in_use(self):
        for config in self.filtered("active"):
            if config.loyalty_engine_id and not config.loyalty_engine_id.sudo().active:
                raise ValidationError(
                    self.env._(
                        "%(shop)s uses the connection %(engine)s, which is archived: take that out "
                        "of the archive first, or choose another one.",
                        shop=config.name,
                        engine=config.loyalty_engine_id.sudo().name,
                    )
                )

    @api.constrains("loyalty_engine_latitude", "loyalty_engine_longitude")
    def _check_loyalty_engine_position(self):
        for config in self:
            if (
                abs(config.loyalty_engine_latitude) > 90
                or abs(config.loyalty_engine_longitude) > 180
            ):
                raise ValidationError(
                    self.env._(
                        "A latitude is from -90 to 90 degrees, a longitude from -180 to 180."
                    )
                )

    @api.depends("loyalty_engine_id")
    def _compute_loyalty_engine_since(self):
        for config in self:
            config.loyalty_engine_since = config.loyalty_engine_id and self.env.cr.now()

    # A till keeps contacts, and loads the members' ids of them where there is a connection.
    @api.depends("loyalty_engine_id")
    def _compute_local_data_integrity(self):
        return super()._compute_local_data_integrity()

    def _compute_loyalty_engine_trouble_count(self):
        counts = self._loyalty_engine_counts("loyalty.engine.report", ("needs_person", "=", True))
        for config in self:
            config.loyalty_engine_trouble_count = counts.get(config, 0)

    def _compute_loyalty_engine_case_count(self):
        counts = self._loyalty_engine_counts("loyalty.engine.case", ("state", "=", "open"))
        for config in self:
            config.loyalty_engine_case_count = counts.get(config, 0)

    def _loyalty_engine_counts(self, model, condition):
        """:return: dict of point of sale to the number of its records"""
        records = self.env[model].sudo()
        domain = [("config_id", "in", self.ids), condition]
        return dict(records._read_group(domain, ["config_id"], ["__count"]))

    def action_loyalty_engine_trouble(self):
        """Open the reports of this point of sale that wait for a person."""
        action = self._loyalty_engine_action("loyalty_engine_report_action")
        return {**action, "context": {"search_default_trouble": 1}}

    def action_loyalty_engine_cases(self):
        """Open the cases of this point of sale that wait for a person."""
        return self._loyalty_engine_action("loyalty_engine_case_action")

    def _loyalty_engine_action(self, name):
        """:return: the action of that name, for what is of this point of sale"""
        self.ensure_one()
        actions = self.env["ir.actions.act_window"]
        action = actions._for_xml_id(f"pos_loyalty_engine.{name}")
        return {**action, "domain": [("config_id", "=", self.id)]}

    @api.model
    def _load_pos_data_read(self, records, config):
        values = hide_from_guests(super()._load_pos_data_read(records, config))
        if values and not is_self_order():
            values[0]["_loyalty_engine"] = config.sudo().loyalty_engine_id._till_data(config)
        return values

    def _loyalty_engine_points_methods(self):
        """The payment methods here that take points."""
        return self.payment_method_ids.filtered(
            lambda method: method.active and method._is_loyalty_engine_points()
        )

    # Points are a payment only where somebody has decided so: neither a new point of sale nor a
    # copy takes the method, or the decision, along by itself.
    def _default_payment_methods(self):
        methods = super()._default_payment_methods()
        return methods.filtered(lambda method: not method._is_loyalty_engine_points())

    def copy_data(self, default=None):
        copies = super().copy_data(default)
        for values in copies:
            if values.get("loyalty_engine_points_booking") == "payment":
                values["loyalty_engine_points_booking"] = False
        return copies

    def _get_special_products(self):
        # Loaded by every till, and on no shelf.
        products = self.env["loyalty.engine"].sudo()._discount_products()
        return super()._get_special_products() | products

    def _get_forbidden_change_fields(self):
        # A member on an open order belongs to the tenant that knew the code.
        return [*super()._get_forbidden_change_fields(), "loyalty_engine_id"]

    def write(self, vals):
        """:raises AccessError: where a cashier changes what is set here: Odoo lets cashiers write
        points of sale
        """
        if any(name.startswith("loyalty_engine_") for name in vals) and not (
            self.env.su
            or self.env.user.has_group("point_of_sale.group_pos_manager")
            or self.env.user.has_group("base.group_system")
        ):
            raise AccessError(
                self.env._("Only managers set what a point of sale does with the Loyalty Engine.")
            )
        if "loyalty_engine_points_booking" in vals:
            self._check_loyalty_engine_booking_change(vals["loyalty_engine_points_booking"])
        return super().write(vals)

    def _check_loyalty_engine_booking_change(self, booking):
        """What an open order holds is held for a discount, or for a payment.

        :raises UserError: while a session is open that would have both
        """
        for config in self:
            before = config.loyalty_engine_points_booking
            if (
                before != booking
                and "payment" in (before, booking)
                and config.current_session_id.state not in (False, "closed")
            ):
                raise UserError(
                    self.env._(
                        "Close the session of %s before points become a payment there, or a "
                        "discount again.",
                        config.name,
                    )
                )
