import json
import logging
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from lxml import etree
from psycopg2.errors import UniqueViolation

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger
from odoo.tools.safe_eval import safe_eval

from ..engine import DEFAULT_REDEEM_TEMPLATE, Event, LoyaltyEngineClient
from ..models.loyalty_engine import SECRETS
from ..sandbox import demo
from .common import CASHIER, MANAGER, LoyaltyEngineCase, new_user

MANAGER_PIN = "918273645546"
SECRET_VALUES = (
    demo.API_KEY,
    demo.CLIENT_ID,
    demo.CLIENT_SECRET,
    demo.EVENT_SECRET,
    MANAGER_PIN,
)


@tagged("post_install", "-at_install")
class TestConnection(LoyaltyEngineCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine.manager_pin = MANAGER_PIN
        cls.cashier = new_user(cls, "le_cashier", CASHIER)
        cls.manager = new_user(cls, "le_manager", MANAGER)
        cls.administrator = new_user(cls, "le_administrator", MANAGER, "base.group_system")

    # === Secrets ===

    def test_secrets_are_for_administrators_only(self):
        for user in (self.cashier, self.manager):
            with self.assertRaises(AccessError):
                self.engine.with_user(user).read(list(SECRETS))
        self.assertNotIn("api_key", self.engine.with_user(self.manager).read()[0])
        with self.assertRaises(AccessError):
            self.engine.with_user(self.manager).search([("api_key", "=like", "s%")])
        self.assertEqual(
            self.engine.with_user(self.administrator).read(["api_key"])[0]["api_key"],
            demo.API_KEY,
        )

    def test_only_administrators_say_where_secrets_go(self):
        with self.assertRaises(AccessError):
            self.engine.with_user(self.manager).rewards_url = "https://elsewhere.example/v1"

    def test_secrets_leave_through_no_export(self):
        engine = self.engine.with_user(self.administrator)
        with self.assertRaises(AccessError):
            engine.export_data(["name", "client_secret"])
        with self.assertRaises(AccessError):
            self.config.with_user(self.administrator).export_data(["loyalty_engine_id/api_key"])
        with self.assertRaises(AccessError):
            engine.export_data(["issuer"])
        self.assertIn("Sandbox", str(engine.export_data(["name"])))

    def test_a_copy_of_a_connection_has_no_secrets(self):
        copy = self.engine.copy()
        for name in (*SECRETS, "check_result"):
            self.assertFalse(copy[name], name)

    def test_no_till_loads_a_secret(self):
        self.config.open_ui()
        session = self.config.current_session_id
        for user in (self.cashier, self.administrator):
            with self.subTest(user=user.login):
                data = (
                    session.with_user(user).with_context(pos_config_id=self.config.id).load_data([])
                )
                self.assertNotIn("loyalty.engine", data)
                text = json.dumps(data, default=str)
                self.assertIn("_loyalty_engine", text)
                for value in SECRET_VALUES:
                    self.assertNotIn(value, text)

    def test_guests_who_order_by_themselves_load_nothing_of_it(self):
        """pos_self_order reads by these methods, for everybody, whoever is logged in."""
        order = self.sell()
        for path, is_theirs in (("/pos-self/data/1", False), ("/web/dataset/call_kw", True)):
            guest = SimpleNamespace(httprequest=SimpleNamespace(path=path))
            with patch("odoo.addons.pos_loyalty_engine.models.pos_config.request", guest):
                (values,) = self.config._load_pos_data_read(self.config, self.config)
                fields = self.env["res.partner"]._load_pos_data_fields(self.config)
                names = order.payment_ids._load_pos_data_fields(self.config)
                payment = order.payment_ids.read(names)[0]
            for names in (values, fields, payment):
                self.assertEqual(any("loyalty_engine" in name for name in names), is_theirs)

    def test_a_new_connection_asks_for_no_health_that_it_has_not(self):
        with self.assertNoLogs("odoo", "WARNING"):
            form = Form(self.env["loyalty.engine"])
            form.name = "Another"

    def test_cashiers_search_customers_by_member(self):
        view = (
            self.env["res.partner"]
            .with_user(self.cashier)
            .get_view(self.env.ref("base.view_res_partner_filter").id, "search")
        )
        (field,) = etree.fromstring(view["arch"]).xpath("//field[contains(@name, 'loyalty')]")
        domain = safe_eval(field.get("filter_domain"), {"self": "1000001"})
        self.env["res.partner"].with_user(self.cashier).search(domain)

    def test_nothing_is_estimated_or_checked_later_where_nothing_is_reported(self):
        def told():
            data = self.engine._till_data(self.config)
            return data["is_reporting"], data["estimated_points_per_unit"]

        self.assertEqual(told(), (True, 1))
        self.engine.reporting = "off"
        self.assertEqual(told(), (False, 0))
        self.engine.write({"reporting": "event", "database_uuid": "another"})
        self.assertEqual(told(), (False, 0))

    def test_no_secret_in_the_log_even_at_debug_level(self):
        order = self.sell(member=self.member)
        with self.assertLogs(level=logging.DEBUG) as logs:
            logging.getLogger().debug("watched")
            self.engine.action_check()
            self.send_reports()
        self.assertEqual(self.report_of(order).state, "sent")
        text = "\n".join(logs.output)
        for value in SECRET_VALUES:
            self.assertNotIn(value, text)

    def test_saving_a_connection_logs_no_secret(self):
        with self.assertLogs(level=logging.DEBUG) as logs:
            logging.getLogger().debug("watched")
            with Form(self.engine.with_user(self.administrator)) as form:
                for name in SECRETS:
                    form[name] = self.engine[name][::-1]
        # Odoo itself logs its SQL, by a logger of its own.
        ours = [line for line in logs.output if not line.startswith("DEBUG:odoo.sql_db:")]
        for value in SECRET_VALUES:
            self.assertNotIn(value[::-1], "\n".join(ours))

    def test_a_limit_that_is_broken_puts_no_secret_into_the_log(self):
        """PostgreSQL would tell the whole row, and Odoo logs what it tells."""
        for name, value in (
            ("till_deadline", 20),
            ("background_deadline", 0),
            ("late_after", 1),
            ("hold_minutes", 0),
            ("points_step", 0),
            ("most_vouchers", 21),
            ("pin_above", -1),
        ):
            for change in (
                lambda values: self.engine.write(values),
                lambda values: self.engine.copy(
                    {**{secret: self.engine[secret] for secret in SECRETS}, **values}
                ),
            ):
                with (
                    self.subTest(name=name),
                    self.assertNoLogs("odoo.sql_db", "WARNING"),
                    self.assertRaises(ValidationError),
                ):
                    change({name: value})
                    self.env.flush_all()

    def test_secrets_are_saved_under_a_lock(self):
        """Else what two write at once fails, and is logged, in the statement with the secrets."""
        with self.assertLogs("odoo.sql_db", logging.DEBUG) as logs:
            self.engine.event_secret = False
            self.env.flush_all()
        first = next(line for line in logs.output if "UPDATE" in line)
        self.assertIn("FOR NO KEY UPDATE", first)

    def test_a_language_that_is_none(self):
        with self.assertRaises(ValidationError):
            self.engine.locale = "english"

    def test_only_its_button_arms_a_copy(self):
        self.engine.database_uuid = "the original's"
        for name in SECRETS:
            self.engine[name] = "123456"
        self.assertTrue(self.engine.is_other_database)
        self.engine.with_user(self.administrator).action_use_this_database()
        self.assertFalse(self.engine.is_other_database)

    def test_a_neutralized_copy_knows_no_secret_and_sends_nothing(self):
        script = Path(__file__).parent.parent / "data" / "neutralize.sql"
        self.env.flush_all()
        self.env.cr.execute(script.read_text(encoding="utf-8"))
        self.env.invalidate_all()
        for name in SECRETS:
            self.assertFalse(self.engine[name], name)
        order = self.sell()
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "waiting")
        self.assertEqual(self.sandbox.requests(), [])

    # === Settings ===

    def test_addresses_follow_the_environment(self):
        with Form(self.env["loyalty.engine"]) as form:
            form.name = "Live"
            form.environment = "us"
            self.assertIn(".us.", form.rewards_url)
            form.environment = "eu"
            self.assertNotIn(".us.", form.rewards_url)

    def test_only_safe_addresses(self):
        for address in (
            "http://api.example/v1",
            "https://user:word@api.example/v1",
            "ftp://api.example",
            "https://api.example/v1?key=1",
        ):
            with self.subTest(address=address), self.assertRaises(ValidationError):
                self.engine.rewards_url = address

    def test_event_types_have_capital_letters_only(self):
        for name in ("pos_sale", "POS_SALE_2", "P", "POS__SALE", ""):
            with self.subTest(name=name), self.assertRaises(ValidationError):
                self.engine.sale_event_type = name

    def test_templates_are_checked_with_words(self):
        for template in ("{", '{"total": "$totale"}', "[]", '{"total": "$total"}'):
            with self.subTest(template=template), self.assertRaises(ValidationError):
                self.engine.event_template = template

    def test_orders_need_the_address_of_the_receipts_service(self):
        with self.assertRaises(ValidationError):
            self.engine.write({"reporting": "order", "receipts_url": False})

    def test_the_connection_stays_while_a_till_is_open(self):
        self.config.open_ui()
        self.config.current_session_id.set_opening_control(0, "")
        with self.assertRaisesRegex(UserError, "Loyalty Engine"):
            self.config.loyalty_engine_id = self.engine.copy()

    def test_the_connection_is_of_the_same_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        with self.assertRaises(ValidationError):
            self.engine.company_id = other
        foreign = self.engine.copy({"company_id": other.id})
        with self.assertRaises(UserError):
            self.config.loyalty_engine_id = foreign

    def test_points_of_one_connection_are_worth_one_amount(self):
        self.config.loyalty_engine_points_booking = "discount"
        # To report, and to earn, any currency will do.
        self.pos_config_eur.loyalty_engine_id = self.engine
        with self.assertRaisesRegex(ValidationError, "different currencies"):
            self.pos_config_eur.loyalty_engine_points_booking = "discount"

    def test_a_request_is_not_late_before_nobody_waits_for_it(self):
        self.engine.write({"background_deadline": 30, "late_after": 60})
        for values in ({"late_after": 59}, {"background_deadline": 31}):
            with self.subTest(values=values), self.assertRaises(ValidationError):
                self.engine.write(values)

    # === Barcodes ===

    def test_cashiers_set_nothing_of_it(self):
        """Odoo lets them write points of sale."""
        cashier, manager = new_user(self, "le_c", CASHIER), new_user(self, "le_m", MANAGER)
        for values in ({"loyalty_engine_venue": "x"}, {"loyalty_engine_id": False}):
            with self.subTest(values=values), self.assertRaises(AccessError):
                self.config.with_user(cashier).write(values)
        self.config.with_user(manager).loyalty_engine_venue = "x"

    def test_an_archived_connection_is_in_no_use(self):
        self.config.active = False
        self.engine.active = False
        with self.assertRaisesRegex(ValidationError, "archive"):
            self.config.active = True

    def test_somebody_is_told_when_the_one_to_tell_has_left(self):
        new_user(self, "le_m", MANAGER)
        gone = new_user(self, "le_gone", MANAGER)
        self.engine.responsible_id = gone
        self.assertEqual(self.engine._person_to_tell(), gone)
        gone.active = False
        told = self.engine._person_to_tell()
        self.assertTrue(told.active and told.has_group(MANAGER))
        self.assertIn(self.company, told.company_ids)
        # Whoever may not see cases is told of none.
        self.engine.responsible_id = new_user(self, "le_c", CASHIER)
        self.assertEqual(self.engine._person_to_tell(), told)

    def test_a_connection_that_asks_for_a_pin_can_be_copied(self):
        self.engine.write({"pin_above": 50, "manager_pin": "4711"})
        copied = self.engine.copy()
        self.assertFalse(copied.pin_above)
        self.assertFalse(copied.manager_pin)
        self.assertEqual(copied.name, f"{self.engine.name} (copy)")
        self.assertEqual(self.engine.copy({"name": "Another"}).name, "Another")

    def test_the_settings_offer_connections_of_the_shop_s_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        settings = self.env["res.config.settings"].with_company(other).new({})
        settings.pos_config_id = self.config
        self.assertEqual(settings.loyalty_engine_company_id, self.company)

    def test_a_till_stands_on_earth(self):
        for values in ({"loyalty_engine_latitude": 91}, {"loyalty_engine_longitude": -181}):
            with self.subTest(values=values), self.assertRaises(ValidationError):
                self.config.write(values)
        self.config.write({"loyalty_engine_latitude": -90, "loyalty_engine_longitude": 180})

    def test_a_member_s_id_is_one_whatever_it_begins_with(self):
        """Odoo has rules for codes that begin with 041, 042, 21, 22 and 23."""
        nomenclature = self.env.ref("barcodes.default_barcode_nomenclature")
        for beginning in ("041", "042", "21", "2250", "23", "c0"):
            code = beginning + "c0ffee-0000-4000-8000-000000000001"[len(beginning) - 2 :]
            with self.subTest(code=code):
                self.assertEqual(len(code), 36)
                parsed = nomenclature.parse_barcode(code)
                self.assertEqual((parsed["type"], parsed["code"]), ("loyalty_engine_member", code))

    # === The test of the connection ===

    def test_check_says_what_works(self):
        self.engine.with_user(self.administrator).action_check()
        self.assertNotIn("✗", self.engine.check_result)
        self.assertEqual(self.engine.check_result.count("✓"), 8)
        self.assertEqual(self.events(), [])

    def test_check_finds_a_wrong_event_secret(self):
        for secret in ("wrong", demo.EVENT_SECRETS["POINTS_REFUND"]):
            with self.subTest(secret=secret):
                self.engine.event_secret = secret
                self.engine.action_check()
                self.assertEqual(self.engine.check_result.count("✗"), 1)
                self.assertRegex(self.engine.check_result, "✗.*event secret")
        self.assertEqual(self.events(), [])

    def test_check_looks_whether_a_sale_is_found_again(self):
        template = json.loads(self.engine.event_template)
        sale_id = next(key for key, value in template.items() if value == "$transaction_id")
        renamed = {f"our{sale_id}": template.pop(sale_id), **template}
        self.engine.event_template = json.dumps(renamed)
        self.engine.action_check()
        self.assertRegex(self.engine.check_result, "✗.*keeps our id")
        self.engine.event_template = json.dumps({sale_id: "$transaction_id", **template})
        self.sandbox.faults(kind="refuse", status=403, method="GET", path="/events")
        self.engine.action_check()
        self.assertEqual(self.engine.check_result.count("✗"), 1)
        self.assertRegex(self.engine.check_result, "✗.*can be looked up")

    def test_check_looks_whether_events_are_listed_with_their_payload(self):
        bare = [Event(id="1", type="POS_SALE")]
        with patch.object(LoyaltyEngineClient, "list_events", return_value=bare):
            self.engine.action_check()
        self.assertEqual(self.engine.check_result.count("✗"), 1)
        self.assertRegex(self.engine.check_result, "✗.*tells their payloads")

    def test_check_tries_the_language(self):
        for locale, is_known in (("en", True), ("pt", False)):
            with self.subTest(locale=locale):
                self.engine.locale = locale
                self.engine.action_check()
                self.assertEqual(self.engine.check_result.count("✗"), not is_known)
                self.assertIn(f"knows the language {locale}", self.engine.check_result)

    def test_check_looks_whether_the_receipts_service_answers(self):
        self.engine.reporting = "order"
        self.engine.action_check()
        self.assertNotIn("✗", self.engine.check_result)
        self.assertIn("Receipts service answers", self.engine.check_result)
        self.engine.receipts_url = "http://127.0.0.1:9/v1"
        self.engine.action_check()
        self.assertRegex(self.engine.check_result, "✗.*Receipts service answers")
        self.assertEqual(self.events("ORDER_PLACED"), [])

    def test_check_says_what_does_not(self):
        self.engine.sale_event_type = "NO_SUCH_TYPE"
        self.engine.points_value_setting = "noSuchSetting"
        self.engine.action_check()
        self.assertEqual(self.engine.check_result.count("✗"), 3)
        self.assertIn("NO_SUCH_TYPE", self.engine.check_result)

    def test_check_decides_whether_points_can_be_spent(self):
        """Both event types are there, are not switched off, and keep our id for certain."""
        self.config.loyalty_engine_points_booking = "discount"
        for options, event_type, is_ready in (
            ({}, "POINTS_REFUND", True),
            ({"redemption_id": "dropped"}, "POINTS_REFUND", False),
            ({"redemption_id": "refused"}, "POINTS_REFUND", False),
            ({}, "NO_SUCH_TYPE", False),
            # Switched off
            ({}, "RETIRED_SALE", False),
            ({}, "POINTS_REFUND", True),
        ):
            with self.subTest(options=options, event_type=event_type):
                self.sandbox.reset()
                self.sandbox.set_options(**options)
                self.engine.refund_event_type = event_type
                self.engine.action_check()
                self.assertEqual(self.engine.points_ready, is_ready)
                self.assertEqual("✗" not in self.engine.check_result, is_ready)

    def test_check_of_points_that_have_no_value_or_can_not_be_looked_up(self):
        self.config.loyalty_engine_points_booking = "discount"
        self.engine.points_value_source = "none"
        self.engine.action_check()
        self.assertFalse(self.engine.points_ready)
        self.assertRegex(self.engine.check_result, "✗.*what a point is worth")
        self.engine.write({"points_value_source": "fixed", "points_value": 0.01})
        self.sell()
        self.send_reports()
        for path, reads_reactions, is_ready in (
            ("/events/*/reactions", True, False),
            ("/events/*/reactions", False, True),
            ("/events", True, False),
            ("/nothing", True, True),
        ):
            with self.subTest(path=path, reads_reactions=reads_reactions):
                self.engine.can_read_reactions = reads_reactions
                self.sandbox.faults(kind="refuse", status=403, method="GET", path=path)
                self.engine.action_check()
                self.assertEqual(self.engine.points_ready, is_ready)
                self.sandbox.clear_faults()

    def test_check_with_wrong_credentials(self):
        self.engine.client_secret = "wrong"
        self.engine.action_check()
        self.assertIn("refuses", self.engine.check_result)
        self.assertNotIn("wrong", self.engine.check_result)

    def test_check_without_key(self):
        self.engine.api_key = False
        self.engine.action_check()
        self.assertIn("✗", self.engine.check_result)

    def test_the_value_of_a_point_follows_the_engine(self):
        self.engine.points_value = 0.5
        with self.enter_registry_test_mode():
            self.env.ref("pos_loyalty_engine.ir_cron_refresh_points_values").method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(self.engine.points_value, 0.01)

    def test_the_value_of_a_point_by_a_rehearsal(self):
        template = {**DEFAULT_REDEEM_TEMPLATE, "amount": "$amount"}
        self.engine.write(
            {
                "points_value_source": "reaction",
                "redeem_template": json.dumps(template),
                "points_value": 0.5,
            }
        )
        self.engine.action_check()
        self.assertIn("no member for rehearsals", self.engine.check_result)
        self.engine.rehearsal_member = self.member.id
        self.engine.action_check()
        self.assertIn("goes by points", self.engine.check_result)
        self.assertEqual(self.engine.points_value, 0.5)
        self.sandbox.set_options(redeem_points_per_unit=250)
        self.engine.action_check()
        self.assertNotIn("✗", self.engine.check_result)
        self.assertEqual(self.engine.points_value, 0.004)
        self.assertEqual(self.events("REDEEMED_POINTS"), [])

    def test_a_rehearsal_is_in_the_currency_of_the_till(self):
        """In its smallest unit, a thousandth of it here: ten points are one, a point is 0.1."""
        self.config.currency_id.rounding = 0.001
        self.assertEqual(self.config.currency_id.decimal_places, 3)
        self.engine.write(
            {
                "points_value_source": "reaction",
                "rehearsal_member": self.member.id,
                "amount_unit": "minor",
                "redeem_template": json.dumps({**DEFAULT_REDEEM_TEMPLATE, "amount": "$amount"}),
            }
        )
        self.sandbox.set_options(redeem_points_per_unit=0.01)
        self.engine.action_check()
        self.assertEqual(self.engine.points_value, 0.1)

    # === Contacts ===

    def test_a_member_is_linked_once_per_company(self):
        values = {
            "name": "Mia",
            "loyalty_engine_ref": self.member.id,
            "company_id": self.company.id,
        }
        self.env["res.partner"].create(values)
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(UniqueViolation),
            self.env.cr.savepoint(),
        ):
            self.env["res.partner"].create(values)
        other = self.env["res.company"].create({"name": "Other"})
        self.env["res.partner"].create({**values, "company_id": other.id})

    def test_emptied_identifiers_are_no_identifier(self):
        partners = self.env["res.partner"].create(
            [{"name": name, "loyalty_engine_ref": ""} for name in ("A", "B")]
        )
        partners.write({"loyalty_engine_account_number": "  "})
        self.env.flush_all()
        self.assertEqual(partners.mapped("loyalty_engine_ref"), [False, False])
