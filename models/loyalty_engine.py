import json
import logging
import re
import threading
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError

from ..engine import (
    DEFAULT_EVENT_TEMPLATE,
    DEFAULT_ORDER_TEMPLATE,
    ENVIRONMENTS,
    EVENT_TYPE_PATTERN,
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineSettings,
    EngineUnreachable,
    LoyaltyEngineClient,
    SaleFacts,
    SaleLine,
    SalePayment,
    SaleRedemption,
    TemplateError,
    build_order,
    build_sale_event,
    check_address,
    check_event_template,
    check_locale,
    check_order_template,
    fact_path,
)
from .loyalty_engine_report import OPEN_STATES

_logger = logging.getLogger(__name__)

SECRETS = {"api_key", "client_id", "client_secret", "event_secret", "manager_pin"}
ADDRESSES = ("rewards_url", "receipts_url", "token_url")
# Seconds. The second one is for what happens before and after the waiting: a sender that is silent
# counts as dead after 12.
MIN_LATE_AFTER = 60
LATE_MARGIN = 30
# Where the engine itself tells what a point is worth.
ENGINES_POINTS_VALUE = ("setting", "reaction")
CHECK_MARKS = {True: ("text-success", "✓"), False: ("text-danger", "✗"), None: ("text-muted", "·")}

# One client per connection and process: it holds the kept-alive connections and the admin token.
# Only touched under the lock, and never larger than the number of connections.
_clients: dict[tuple[str, int], LoyaltyEngineClient] = {}
_clients_lock = threading.Lock()

# What the test of a connection reports to the engine's rehearsal: nobody's sale.
SAMPLE_SALE = SaleFacts(
    transaction_id="00000000-0000-4000-8000-000000000000",
    receipt_number="000-000-000",
    store_id="1",
    till_id="pos-1",
    cashier_id="user-1",
    currency="EUR",
    currency_decimals=2,
    total=Decimal("12.34"),
    total_without_tax=Decimal("10.37"),
    tax=Decimal("1.97"),
    discount=Decimal("0.00"),
    earning_total=Decimal("12.34"),
    occurred_at=datetime(2026, 1, 2, 10, 11, 12, tzinfo=timezone.utc),
    lines=(
        SaleLine(
            sku="SAMPLE",
            quantity=Decimal(2),
            unit_price=Decimal("6.17"),
            amount=Decimal("12.34"),
            amount_without_tax=Decimal("10.37"),
            discount=Decimal("0.00"),
            category="Sample",
        ),
    ),
    payments=(SalePayment(kind="cash", amount=Decimal("12.34")),),
    redemptions=(
        SaleRedemption(
            kind="voucher",
            redemption_id="00000000-0000-4000-8000-000000000001",
            amount=Decimal("1.00"),
            benefit_id="00000000-0000-4000-8000-000000000002",
            reward_id="00000000-0000-4000-8000-000000000003",
        ),
        SaleRedemption(
            kind="voucher",
            redemption_id="00000000-0000-4000-8000-000000000005",
            amount=Decimal("1.00"),
            reward_id="own sample",
        ),
        SaleRedemption(
            kind="points",
            redemption_id="00000000-0000-4000-8000-000000000004",
            points=Decimal(100),
            amount=Decimal("1.00"),
        ),
    ),
)


class LoyaltyEngine(models.Model):
    """A connection to one tenant of the Loyalty Engine.

    Holds what must never reach a browser: no till loads this model, the secrets are readable by
    system administrators only and leave through no export. What a till may know of a connection
    is what :meth:`_till_data` names.
    """

    _name = "loyalty.engine"
    _description = "Loyalty Engine Connection"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _check_company_auto = True

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    responsible_id = fields.Many2one(
        "res.users",
        string="Person to Tell",
        required=True,
        default=lambda self: self.env.user,
        domain="[('share', '=', False), ('company_ids', 'in', company_id)]",
        help="Gets an activity when sales can't be reported, the credentials are refused, or "
        "points or vouchers need a person.",
    )

    environment = fields.Selection(
        [
            ("eu", "Europe, production"),
            ("eu_staging", "Europe, staging"),
            ("us", "United States, production"),
            ("us_staging", "United States, staging"),
            ("gcc", "Gulf states (ask for the addresses)"),
            ("custom", "Own addresses"),
        ],
        required=True,
        default="eu_staging",
    )
    rewards_url = fields.Char(
        string="Rewards Address",
        compute="_compute_addresses",
        store=True,
        readonly=False,
        required=True,
        precompute=True,
    )
    receipts_url = fields.Char(
        string="Receipts Address",
        compute="_compute_addresses",
        store=True,
        readonly=False,
        precompute=True,
        help="Only where White Label Loyalty has set up the Receipts service for the tenant.",
    )
    token_url = fields.Char(
        string="Token Address",
        compute="_compute_addresses",
        store=True,
        readonly=False,
        required=True,
        precompute=True,
    )
    api_key = fields.Char(string="API Key", groups="base.group_system", copy=False)
    client_id = fields.Char(string="Client ID", groups="base.group_system", copy=False)
    client_secret = fields.Char(groups="base.group_system", copy=False)
    issuer = fields.Char(
        compute="_compute_issuer",
        store=True,
        groups="base.group_system",
        exportable=False,
        help="Where its vouchers are of: two connections may be of one tenant, and two tenants may "
        "have one address and the same codes. Stays when a client id is exchanged for another.",
    )
    moved_at = fields.Datetime(
        string="Address Changed",
        compute="_compute_issuer",
        store=True,
        help="What was sent before can't be looked for any more.",
    )
    audience = fields.Char(
        default="wlloyalty.net",
        help="The audience that admin tokens are asked for. White Label Loyalty tells it with the "
        "credentials; wlloyalty.net stands for every environment.",
    )
    event_secret = fields.Char(
        groups="base.group_system",
        copy=False,
        help="The secret of the private event type for sales. Without it sales are reported with "
        "the admin token.",
    )
    database_uuid = fields.Char(
        string="Database",
        copy=False,
        readonly=True,
        default=lambda self: self._current_database_uuid(),
        help="The database that may report. A copy of it sends nothing until someone says so.",
    )
    is_other_database = fields.Boolean(compute="_compute_is_other_database")

    reporting = fields.Selection(
        [
            ("event", "As a custom event"),
            ("order", "As an order of the Receipts service"),
            ("off", "Not at all"),
        ],
        string="Report Sales",
        required=True,
        default="event",
        help="White Label Loyalty tells each tenant which way to use. Never both: points would be "
        "given twice.",
    )
    reporting_since = fields.Datetime(
        readonly=True,
        copy=False,
        default=lambda self: self.env.cr.now(),
        help="When reporting was switched on. Orders of before are never looked for.",
    )
    sale_event_type = fields.Char(string="Event Type of a Sale", default="POS_SALE")
    amount_unit = fields.Selection(
        [("decimal", "Decimal (12.34)"), ("minor", "Smallest unit (1234)")],
        string="Amounts",
        required=True,
        default="decimal",
    )
    event_template = fields.Text(
        string="Payload of a Sale",
        default=lambda self: json.dumps(DEFAULT_EVENT_TEMPLATE, indent=2),
        help="What the tenant calls things: keys are free, a value such as $total stands for a "
        "fact of the sale, everything else is sent as it is.",
    )
    order_template = fields.Text(
        string="Order of a Sale",
        default=lambda self: json.dumps(DEFAULT_ORDER_TEMPLATE, indent=2),
        help="The fields of the Receipts service are not published: agree them with White Label "
        "Loyalty.",
    )
    sku_source = fields.Selection(
        [("default_code", "Internal reference"), ("barcode", "Barcode")],
        string="SKU",
        required=True,
        default="default_code",
    )

    member_code_prefix = fields.Char(
        string="Prefix of Member Codes",
        help="Text before the identifier in a member's code, where there is one. Codes are "
        "understood with it and without it.",
    )
    points_value_source = fields.Selection(
        [
            ("setting", "A setting of the engine"),
            ("reaction", "A rehearsal of spending"),
            ("fixed", "Fixed here"),
            ("none", "Not shown"),
        ],
        string="Value of a Point",
        required=True,
        default="setting",
    )
    points_value_setting = fields.Char(string="Name of the Setting", default="pointsCurrencyValue")
    points_value = fields.Float(
        string="One Point Is Worth",
        digits=(16, 8),
        help="In the currency of the till. 0 = unknown, nothing is shown.",
    )
    estimated_points_per_unit = fields.Float(
        string="Estimated Points per Currency Unit",
        digits=(16, 4),
        help="Used for the estimate on the receipt while the engine has not answered; the engine's "
        "reactors decide what is really given. 0 = no estimate.",
    )
    locale = fields.Char(help="Language of tier names, such as en. Empty: the tenant's default.")
    test_reaction_path = fields.Selection(
        [
            ("/events/test_reaction", "/events/test_reaction (API description)"),
            ("/commands/test_reaction", "/commands/test_reaction (integration guide)"),
        ],
        string="Test Address",
        required=True,
        default="/events/test_reaction",
    )

    till_deadline = fields.Float(
        string="Cashier Waits at Most", default=5.0, help="Seconds for one answer of the engine."
    )
    background_deadline = fields.Float(
        string="Background Waits at Most", default=10.0, help="Seconds for one answer."
    )
    late_after = fields.Integer(
        string="A Request Can Arrive Late For",
        default=900,
        help="Seconds after which a request that got no answer counts as never arrived. Only then "
        "is a report sent again.",
    )

    checked_at = fields.Datetime(string="Last Test", readonly=True, copy=False)
    check_result = fields.Html(readonly=True, copy=False, sanitize=True)
    config_ids = fields.One2many("pos.config", "loyalty_engine_id", string="Points of Sale")
    trouble_count = fields.Integer(compute="_compute_report_counts")
    case_count = fields.Integer(compute="_compute_report_counts")
    waiting_count = fields.Integer(compute="_compute_report_counts")
    rests_until = fields.Datetime(compute="_compute_rest")
    rest_reason = fields.Char(compute="_compute_rest")

    @api.depends("environment")
    def _compute_addresses(self):
        for engine in self:
            known = ENVIRONMENTS.get(engine.environment)
            for name in ADDRESSES:
                engine[name] = getattr(known, name) or False if known else engine[name]

    @api.depends("rewards_url", "client_id")
    def _compute_issuer(self):
        for engine in self:
            address = f"{(engine.rewards_url or '').rstrip('/')} "
            before = engine.issuer or ""
            is_moved = before and not before.startswith(address)
            engine.moved_at = self.env.cr.now() if is_moved else engine.moved_at
            is_known = before.startswith(address) and before != address
            engine.issuer = before if is_known else engine._issuer_of_tenant(address)

    def _issuer_of_tenant(self, address):
        """That of a connection with the same credentials, which may have had others before."""
        if self.client_id:
            engines = self.with_context(active_test=False)
            for other in engines.search([("client_id", "=", self.client_id)]) - self._origin:
                if (other.issuer or "").startswith(address):
                    return other.issuer
        return f"{address}{self.client_id or ''}"

    @api.depends("database_uuid")
    def _compute_is_other_database(self):
        current = self._current_database_uuid()
        for engine in self:
            engine.is_other_database = engine.database_uuid != current

    def _compute_rest(self):
        for engine in self:
            health = engine._health()
            is_resting = health.resume_at and health.resume_at > self.env.cr.now()
            engine.rests_until = is_resting and health.resume_at
            engine.rest_reason = is_resting and health.reason

    def _compute_report_counts(self):
        for name, model, condition in (
            ("trouble_count", "loyalty.engine.report", ("needs_person", "=", True)),
            ("waiting_count", "loyalty.engine.report", ("state", "in", OPEN_STATES)),
            ("case_count", "loyalty.engine.case", ("state", "=", "open")),
        ):
            domain = [("engine_id", "in", self.ids), condition]
            records = self.env[model].sudo()
            counts = dict(records._read_group(domain, ["engine_id"], ["__count"]))
            for engine in self:
                engine[name] = counts.get(engine, 0)

    @api.constrains(*ADDRESSES)
    def _check_addresses(self):
        for engine in self:
            for name in ADDRESSES:
                try:
                    if engine[name]:
                        check_address(engine[name])
                except ValueError as error:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(problem)s",
                            field=engine._fields[name].string,
                            problem=error,
                        )
                    ) from error

    # No CHECK of the database: what that refuses stands in the log, with all columns of the row.
    @api.constrains("till_deadline", "background_deadline", "late_after")
    def _check_time_limits(self):
        for engine in self:
            if not (1 <= engine.till_deadline <= 15 and 1 <= engine.background_deadline <= 60):
                raise ValidationError(
                    self.env._("A cashier can wait 1 to 15 seconds, the background 1 to 60.")
                )
            # Longer than anybody waits for one, and is at it: it goes again, or counts as never
            # arrived, only then.
            least = max(MIN_LATE_AFTER, engine.background_deadline + LATE_MARGIN)
            if not least <= engine.late_after <= 86400:
                raise ValidationError(
                    self.env._("A request can be late for %d seconds to one day.", least)
                )

    @api.constrains("locale")
    def _check_locale(self):
        for engine in self:
            try:
                check_locale(engine.locale or "")
            except ValueError as error:
                raise ValidationError(str(error)) from error

    @api.constrains("reporting", "receipts_url", "sale_event_type")
    def _check_reporting(self):
        for engine in self:
            if engine.reporting == "order" and not engine.receipts_url:
                raise ValidationError(
                    self.env._("To report orders, the address of the Receipts service is needed.")
                )
            if engine.reporting == "event" and not (
                2 <= len(engine.sale_event_type or "") <= 64
                and re.fullmatch(EVENT_TYPE_PATTERN, engine.sale_event_type)
            ):
                raise ValidationError(
                    self.env._(
                        "An event type has 2 to 64 characters: capital letters, in words joined by "
                        "one underscore each, such as POS_SALE."
                    )
                )

    @api.constrains("event_template", "order_template")
    def _check_templates(self):
        checks = {"event_template": check_event_template, "order_template": check_order_template}
        for engine in self:
            for name, check in checks.items():
                try:
                    check(engine._template(name))
                except TemplateError as error:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(problem)s",
                            field=engine._fields[name].string,
                            problem=error,
                        )
                    ) from error
            if not fact_path(engine._template("event_template")):
                raise ValidationError(
                    self.env._(
                        "The payload of a sale must carry $transaction_id: by it a report is found "
                        "again when the engine's answer was lost."
                    )
                )

    @api.constrains("active")
    def _check_archived(self):
        for engine in self:
            shops = engine.config_ids.filtered("active")
            if shops and not engine.active:
                raise ValidationError(
                    self.env._(
                        "%(engine)s is in use, and can't be archived: choose another connection, "
                        "or none, at %(shops)s first.",
                        engine=engine.name,
                        shops=", ".join(shops.mapped("name")),
                    )
                )

    @api.constrains("company_id")
    def _check_company_of_configs(self):
        for engine in self:
            if engine.config_ids.company_id - engine.company_id:
                raise ValidationError(
                    self.env._("Points of sale of another company use this connection.")
                )

    def _template(self, name):
        """The template as a JSON document.

        :raises TemplateError: when the text is not JSON
        """
        try:
            return json.loads(self[name] or "{}")
        except ValueError as error:
            raise TemplateError(self.env._("this is not JSON (%s)", error)) from error

    def _export_rows(self, fields, *, _is_toplevel_call=True):
        """Secrets leave through no export, whoever asks, and from whichever model.

        :raises AccessError: when a secret is among the columns
        """
        if any(path and path[0] in {*SECRETS, "issuer"} for path in fields):
            raise AccessError(
                self.env._("Secrets of a Loyalty Engine connection can't be exported.")
            )
        return super()._export_rows(fields, _is_toplevel_call=_is_toplevel_call)

    @api.model
    def _current_database_uuid(self):
        return self.env["ir.config_parameter"].sudo().get_param("database.uuid")

    def action_use_this_database(self):
        """Say that from now on this database reports, and not the one it was copied from."""
        self.check_access("write")
        self.database_uuid = self._current_database_uuid()
        self.env["loyalty.engine.report"]._wake_sender()

    @api.model
    def _check_manager(self):
        """:raises AccessError: for others than managers of the point of sale"""
        if not self.env.user.has_group("point_of_sale.group_pos_manager"):
            raise AccessError(self.env._("Only managers of the point of sale can do this."))

    def action_retry_troubled(self):
        """Send again all reports of this connection that need a person: what has failed, and, at
        once, what waits for too long."""
        self.env["loyalty.engine.report"].search(
            [("engine_id", "in", self.ids), ("needs_person", "=", True)]
        ).action_retry()

    # === What the till may know ===

    def _till_data(self, config):
        """What the till of ``config`` may know of this connection; False where there is none."""
        if not self:
            return False
        self.ensure_one()
        is_reporting = self.reporting != "off" and not self.is_other_database
        return {
            "id": self.id,
            "name": self.name,
            "points_value": self._known_points_value(),
            "is_reporting": is_reporting,
            # What is not reported earns nothing.
            "estimated_points_per_unit": self.estimated_points_per_unit if is_reporting else 0,
            "time_limit": self.till_deadline,
            "member_code_prefix": self.member_code_prefix or "",
        }

    def _known_points_value(self):
        """Value of one point in the currency of the till; None = unknown."""
        return None if self.points_value_source == "none" else self.points_value or None

    # === Talking to the engine ===

    def _client(self):
        """The client of this connection in this process, with its settings as they are now.

        :raises EngineAuthFailed: when something is missing without which nothing can be asked
        """
        self.ensure_one()
        engine = self.sudo()
        try:
            settings = EngineSettings(
                rewards_url=engine.rewards_url,
                receipts_url=engine.receipts_url or "",
                token_url=engine.token_url or "",
                api_key=engine.api_key or "",
                client_id=engine.client_id or "",
                client_secret=engine.client_secret or "",
                audience=engine.audience or "",
                event_secret=engine.event_secret or "",
                deadline=engine.till_deadline,
                background_deadline=engine.background_deadline,
                test_reaction_path=engine.test_reaction_path,
                locale=engine.locale or "",
            )
        except ValueError as error:
            raise EngineAuthFailed(str(error)) from error
        key = (self.env.cr.dbname, self.id)
        with _clients_lock:
            client = _clients.get(key)
            if client is None or client.settings != settings:
                if client:
                    client.close()
                client = _clients[key] = LoyaltyEngineClient(settings)
        return client

    def _end_rest(self):
        """What was waited for has been mended: sending goes on at once."""
        if health := self._health():
            health.write({"failures": 0, "resume_at": False, "reason": False})
            self._wake_job("ir_cron_send_reports")

    def _health(self):
        return self.env["loyalty.engine.health"].sudo().search([("engine_id", "in", self.ids)])

    def _readings(self, code):
        """The ways to read a scanned code, the likeliest first: without the tenant's prefix, and as
        it is."""
        prefix = self.member_code_prefix
        if prefix and code.startswith(prefix) and code != prefix:
            return [code[len(prefix) :], code]
        return [code]

    def _alert(self, summary):
        """Tell the responsible person, in one activity for each ``summary`` however often that
        happens; never raises. What it is told about was just written down, and stays."""
        try:
            with self.env.cr.savepoint():
                self._alert_person(summary)
        except Exception:
            _logger.exception("loyalty engine: nobody was told: %s", summary)

    def _alert_person(self, summary):
        warning = self.env.ref("mail.mail_activity_data_warning")
        for engine in self.sudo():
            opened = engine.activity_ids.filtered(
                lambda activity: (
                    activity.activity_type_id == warning
                    and activity.automated
                    and activity.summary == summary
                )
            )
            if not opened:
                engine.with_context(mail_activity_quick_update=True).activity_schedule(
                    "mail.mail_activity_data_warning",
                    summary=summary,
                    user_id=engine._person_to_tell().id,
                )

    def _told_in(self):
        """The language of whoever is told: what a job writes is in nobody's, otherwise."""
        return self._person_to_tell().lang

    def _person_to_tell(self):
        """Whoever is set; where that one has left, or may not see it any more, a manager of the
        company's, so that nothing is told to nobody."""
        manager_group = "point_of_sale.group_pos_manager"
        responsible = self.responsible_id.sudo()
        # Asked by each job: whoever is set is looked at without reading all the others.
        if self._can_be_told(responsible) and responsible.has_group(manager_group):
            return self.responsible_id
        managers = self.env.ref(manager_group).sudo().all_user_ids
        return managers.filtered(self._can_be_told).sorted("id")[:1] or self.responsible_id

    def _can_be_told(self, user):
        return user.active and not user.share and self.company_id in user.company_ids

    @api.model
    def _end_alerts(self):
        """Take the warnings off connections where nothing needs a person any more; never raises."""
        engines = self.with_context(active_test=False)
        for engine in engines.search([("activity_ids.automated", "=", True)]):
            health = engine._health()
            if engine.trouble_count or health.failures or health.resume_at:
                continue
            try:
                with self.env.cr.savepoint():
                    engine.activity_feedback(
                        ["mail.mail_activity_data_warning"],
                        feedback=self.env._("All sales are reported again."),
                    )
            except Exception:
                _logger.exception("loyalty engine %s: its warning stays", engine.id)

    # === The test ===

    def action_check(self):
        """Try the connection step by step and say in words what works and what doesn't."""
        self.check_access("write")
        for engine in self:
            engine.check_result = Markup("<ul class='list-unstyled mb-0'>%s</ul>") % (
                Markup("").join(
                    Markup("<li><span class='%s fw-bold'>%s</span> %s</li>")
                    % (*CHECK_MARKS[works], text)
                    for works, text in engine._check_steps()
                )
            )
            engine.checked_at = fields.Datetime.now()

    def _check_steps(self):
        """:return: list of (works: True | False | None = could not be tried, text)"""
        steps = []

        def attempt(what, call):
            try:
                answer = call()
            except (EngineError, ValueError) as error:
                steps.append((False, f"{what}: {self._in_words(error)}"))
                return None
            steps.append((True, what))
            return answer

        if self.is_other_database:
            steps.append((False, self.env._("This is a copy of the database: it sends nothing.")))
        client = attempt(self.env._("The connection is filled in"), self._client)
        if client is None:
            return steps
        attempt(self.env._("The API key and the credentials are accepted"), client.list_event_types)
        if steps[-1][0] is False:
            return steps
        self._end_rest()
        if self.locale:
            # The same goes along with each wallet: one that the engine refuses leaves no points.
            attempt(self.env._("The engine knows the language %s", self.locale), client.list_tiers)
        if self.reporting == "event":
            event_type = attempt(
                self.env._("The event type %s exists", self.sale_event_type),
                lambda: client.get_event_type(self.sale_event_type),
            )
            if event_type and event_type.is_active is False:
                steps.append(
                    (False, self.env._("The event type %s is switched off", self.sale_event_type))
                )
            if event_type:
                # Without it no sale is found again whose answer was lost.
                steps.append(
                    (
                        event_type.keeps(fact_path(self._template("event_template"))),
                        self.env._("The event type %s keeps our id", self.sale_event_type),
                    )
                )
            events = attempt(
                self.env._("Reported sales can be looked up"), lambda: client.list_events(limit=1)
            )
            if events and events[0].payload is None:
                steps.append(
                    (
                        False,
                        self.env._("The list of events tells their payloads, and with them our id"),
                    )
                )
            attempt(
                self.env._("The engine accepts the payload of a sale"),
                lambda: client.test_reaction(self._sale_body(SAMPLE_SALE, None)),
            )
            if self.sudo().event_secret:
                attempt(
                    self.env._("The event secret, as far as it shows without a sale"),
                    lambda: client.probe_event_secret(self.sale_event_type),
                )
        elif self.reporting == "order":
            attempt(
                self.env._("The address of the Receipts service answers"), client.probe_receipts
            )
            steps.append((None, self.env._("Orders can't be tried without placing one")))
        else:
            steps.append((None, self.env._("Sales are not reported")))
        if self.points_value_source in ENGINES_POINTS_VALUE:
            value = attempt(
                self.env._("The engine tells the value of a point"),
                lambda: self._read_points_value(client),
            )
            if value is not None and not self._set_points_value(value):
                steps.append(
                    (False, self.env._("The value of a point is not a number: %s", value[:40]))
                )
        if not self.config_ids:
            steps.append((None, self.env._("No point of sale uses this connection yet")))
        return steps

    def _in_words(self, error):
        """What an error of the engine means, for a manager; never a secret or a header."""
        if isinstance(error, EngineUnreachable):
            return self.env._("the engine can't be reached")
        if isinstance(error, EngineAuthFailed):
            return self.env._(
                "the engine refuses the API key or the credentials (%s)", error.reason
            )
        if isinstance(error, EngineRejected):
            return self.env._("the engine refuses: %s", error)
        if isinstance(error, EngineAnswerUnreadable):
            return self.env._("the engine's answer can't be read")
        if isinstance(error, EngineOutcomeUnknown):
            return self.env._("the engine does not answer in time")
        return str(error)

    def _read_points_value(self, client, deadline=None):
        """What the engine says that a point is worth, as text.

        :raises EngineError, ValueError: when it doesn't say
        """
        return client.get_setting(self.points_value_setting, deadline=deadline)

    def _set_points_value(self, text):
        """Keep the engine's value of a point; False where it is not a positive number."""
        try:
            value = Decimal(text.strip())
        except InvalidOperation:
            return False
        if not value.is_finite() or value <= 0:
            return False
        if float(value) != self.points_value:
            self.sudo().points_value = float(value)
        return True

    @api.model
    def _cron_refresh_points_values(self):
        """Follow the engine's value of a point, so that tills start with today's."""
        for engine in self.search([("points_value_source", "in", ENGINES_POINTS_VALUE)]):
            try:
                value = engine._read_points_value(engine._client(), engine.background_deadline)
            except (EngineError, ValueError) as error:
                _logger.info("loyalty engine %s: value of a point not read: %s", engine.id, error)
                continue
            if not engine._set_points_value(value):
                _logger.warning("loyalty engine %s: value of a point is no number", engine.id)
            self.env["ir.cron"]._commit_progress(1)

    # === Bodies ===

    def _sale_body(self, sale, member_ref, member_auth_identifier=None):
        """The bytes that report ``sale``.

        :param sale: SaleFacts
        :param member_ref: the engine's id of the member; None for other customers
        :raises ValueError: when the template or the facts don't make a valid body
        """
        if self.reporting == "order":
            return build_order(
                sale, self._template("order_template"), member_auth_identifier, self.amount_unit
            )
        return build_sale_event(
            sale,
            self._template("event_template"),
            self.sale_event_type,
            subject=member_ref,
            executor=sale.till_id,
            amount_unit=self.amount_unit,
        )

    def copy_data(self, default=None):
        copies = super().copy_data(default)
        if "name" not in (default or {}):
            for engine, values in zip(self, copies, strict=True):
                values["name"] = self.env._("%s (copy)", engine.name)
        return copies

    @api.model_create_multi
    def create(self, vals_list):
        engines = super().create([self._strip_pasted(vals) for vals in vals_list])
        self._wake_refresh()
        return engines

    def write(self, vals):
        vals = self._strip_pasted(vals)
        if vals.get("reporting", "off") != "off":
            silent = self.filtered(lambda engine: engine.reporting == "off")
            silent.reporting_since = self.env.cr.now()
        if vals.keys() & SECRETS:
            # A write that meets another one stands in the log as well. This one says nothing.
            self.env.cr.execute(
                "SELECT 1 FROM loyalty_engine WHERE id IN %s FOR NO KEY UPDATE",
                (tuple(self.ids) or (0,),),
            )
        result = super().write(vals)
        if vals.keys() & {*ADDRESSES, *SECRETS, "audience"}:
            self._end_rest()
        if vals.keys() & {
            *ADDRESSES,
            *SECRETS,
            "points_value_source",
            "points_value_setting",
            "rehearsal_member",
        }:
            self._wake_refresh()
        return result

    @api.model
    def _wake_refresh(self):
        self._wake_job("ir_cron_refresh_points_values")

    @api.model
    def _wake_job(self, name, at=None):
        """Let a job of ours run soon, or ``at`` a time; never raises. Whatever is being stored or
        opened is not refused for it: the job also runs by itself."""
        # Whatever is wrong with that itself belongs to others, and must not be caught below.
        self.env.flush_all()
        try:
            with self.env.cr.savepoint():
                self._trigger_job(name, at)
        except Exception:
            _logger.exception("loyalty engine: job %s can't be woken", name)

    @api.model
    def _trigger_job(self, name, at=None):
        """As :meth:`_wake_job`, but to be called within a savepoint; raises whatever goes wrong but
        that somebody has deleted the job."""
        # Not by env.ref: it asks the database each time, and this is part of each sale.
        job_id = self.env["ir.model.data"]._xmlid_to_res_id(f"pos_loyalty_engine.{name}")
        if job_id:
            self.env["ir.cron"].browse(job_id)._trigger(at)
        else:
            _logger.error("loyalty engine: the scheduled action %s is gone", name)

    @api.model
    def _strip_pasted(self, vals):
        """What is pasted often brings a blank or a line break along."""
        vals = dict(vals)
        for name in {*ADDRESSES, *SECRETS, "audience"} & vals.keys():
            vals[name] = (vals[name] or "").strip() or False
        return vals
