import uuid
from unittest.mock import patch

from odoo import fields
from odoo.tests import JsonRpcException, tagged
from odoo.tools import mute_logger

from ..controllers import pos_loyalty_engine
from ..models import loyalty_engine_lookup
from ..sandbox import demo
from .common import TillCase, new_user
from .logs import everything_logged

CONTROLLER = "odoo.addons.pos_loyalty_engine.controllers.pos_loyalty_engine"


@tagged("post_install", "-at_install")
class TestIdentify(TillCase):
    """The routes as a cashier's browser calls them."""

    def identify(self, code):
        return self.ask("identify", code=code)

    def link(self, member=None, company=None, **values):
        member = member or self.member
        return self.env["res.partner"].create(
            {
                "name": "Linked customer",
                "loyalty_engine_ref": member.id,
                "loyalty_engine_account_number": member.account_number,
                "loyalty_engine_auth_identifier": member.auth_identifier,
                "company_id": company and company.id,
                **values,
            }
        )

    # === Who it is ===

    def test_by_id_and_by_account_number(self):
        for code in (self.member.id, self.member.account_number, f" {self.member.id}\n"):
            with self.subTest(code=code):
                answer = self.identify(code)
                self.assertEqual(answer["status"], "found")
                self.assertEqual(answer["partner_id"], False)
                member = answer["member"]
                self.assertEqual(member["ref"], self.member.id)
                self.assertEqual(member["account_number"], self.member.account_number)
                self.assertIn(self.member.given_name, member["name"])
                self.assertEqual(member["tier"], self.member.tier)
                self.assertEqual(member["points"], self.member.points)
                self.assertEqual(member["points_value"], 0.01)

    def test_a_linked_customer_is_named(self):
        partner = self.link()
        for code in (
            self.member.id,
            self.member.account_number,
            self.member.auth_identifier,
        ):
            with self.subTest(code=code):
                answer = self.identify(code)
                self.assertEqual(answer["status"], "found")
                self.assertEqual(answer["partner_id"], partner.id)

    def test_a_customer_of_whom_only_the_account_number_is_known_is_named(self):
        partner = self.link(loyalty_engine_ref=False, loyalty_engine_auth_identifier=False)
        answer = self.identify(self.member.account_number)
        self.assertEqual(answer["partner_id"], partner.id)

    def test_customers_of_other_companies_are_not_seen(self):
        self.link(company=self.other_company)
        self.assertEqual(self.identify(self.member.id)["partner_id"], False)

    def test_with_prefix_and_without(self):
        self.engine.member_code_prefix = "WLL-"
        for code in (f"WLL-{self.member.account_number}", self.member.account_number):
            self.assertEqual(self.identify(code)["status"], "found", code)

    def test_no_secret_in_the_log_even_at_debug_level(self):
        with everything_logged() as told:
            self.assertEqual(self.identify(self.member.id)["status"], "found")
        text = told.getvalue()
        self.assertIn("/users/{id}", text)
        for secret in (demo.API_KEY, demo.CLIENT_ID, demo.CLIENT_SECRET, demo.EVENT_SECRET):
            self.assertNotIn(secret, text)

    def test_an_id_costs_one_round_trip(self):
        self.identify(demo.MEMBERS[1].id)
        self.sandbox.reset()
        self.identify(self.member.id)
        paths = [request["path"] for request in self.sandbox.requests()]
        self.assertEqual(len(paths), 2, paths)

    def test_whom_the_engine_has_confirmed_is_not_asked_for_again(self):
        self.identify(self.member.id)
        self.sell(member=self.member)
        self.sandbox.reset()
        self.send_reports()
        paths = [request["path"] for request in self.sandbox.requests()]
        self.assertEqual(paths, ["/v1/events"])

    # === Words for what is wrong ===

    def test_unknown(self):
        for code in ("9999999", "", "x" * 600, "a\x00b", 12, None):
            with self.subTest(code=code):
                self.assertEqual(self.identify(code), {"status": "unknown"})

    def test_ambiguous(self):
        for member, company in ((self.member, self.company), (demo.MEMBERS[1], None)):
            self.link(
                member,
                company,
                loyalty_engine_account_number=False,
                loyalty_engine_auth_identifier="both@example.com",
            )
        self.assertEqual(self.identify("both@example.com"), {"status": "ambiguous"})

    def test_two_customers_who_are_one_member(self):
        self.link(company=self.company)
        self.link()
        self.assertEqual(self.identify(self.member.account_number)["status"], "found")

    def test_a_customer_who_is_another_tenants_member(self):
        """Their account numbers may be the same."""
        partner = self.link(loyalty_engine_ref=str(uuid.uuid4()))
        answer = self.identify(self.member.account_number)
        self.assertEqual(answer["status"], "found")
        self.assertEqual(answer["member"]["ref"], self.member.id)
        self.assertFalse(answer["partner_id"])
        order = self.sell(loyalty_engine_member_code=self.member.account_number)
        self.send_reports()
        self.assertEqual(self.report_of(order).member_ref, self.member.id)
        self.assertTrue(partner.exists())

    def test_restricted(self):
        (restricted,) = [member for member in demo.MEMBERS if member.restricted]
        self.assertEqual(self.identify(restricted.id), {"status": "restricted"})

    def test_slow(self):
        self.identify(self.member.id)
        self.engine.till_deadline = 1
        self.sandbox.faults(kind="latency", seconds=3)
        self.assertEqual(self.identify(self.member.id), {"status": "slow"})

    def test_all_readings_of_a_code_take_no_longer_than_one_answer(self):
        self.engine.write({"till_deadline": 1, "member_code_prefix": "WLL-"})
        self.sandbox.faults(kind="latency", seconds=0.6, path="/users/*")
        self.assertEqual(self.identify("WLL-9999999"), {"status": "slow"})

    def test_down_and_nobody_waits_after_three_failures(self):
        self.sandbox.stop()
        try:
            for _attempt in range(3):
                self.assertEqual(self.identify(self.member.id), {"status": "down"})
        finally:
            self.sandbox.start()
        self.sandbox.reset()
        self.rest_on()
        self.assertEqual(self.identify(self.member.id), {"status": "down"})
        self.assertEqual(self.sandbox.requests(), [], "answered without asking the engine")
        # The pause is over: one request tries it, and everything is as before.
        self.end_the_rest()
        self.assertEqual(self.identify(self.member.id)["status"], "found")
        self.assertEqual(self.engine._health().failures, 0)

    @mute_logger(CONTROLLER)
    def test_credentials_refused(self):
        self.sandbox.faults(kind="wrong_token")
        self.assertEqual(self.identify(self.member.id), {"status": "refused"})

    def test_without_connection(self):
        self.env.flush_all()
        self.env.cr.execute("UPDATE pos_config SET loyalty_engine_id = NULL")
        self.env.invalidate_all()
        self.assertEqual(self.identify(self.member.id), {"status": "not_configured"})

    def test_nobody_tries_codes_endlessly(self):
        with patch.object(loyalty_engine_lookup, "MISSES_PER_WINDOW", 3):
            for number in range(3):
                self.assertEqual(self.identify(f"99999{number}")["status"], "unknown")
            answer = self.identify(self.member.id)
        self.assertEqual(answer["status"], "limited")
        self.assertGreater(answer["retry_after"], 0)
        with patch.object(loyalty_engine_lookup, "LOOKUPS_PER_MINUTE", 3):
            self.assertEqual(self.identify(self.member.id)["status"], "limited")

    def test_codes_that_are_merely_tried_keep_no_member_waiting(self):
        """Products that the shop lacks: their misses count among themselves."""
        with patch.object(loyalty_engine_lookup, "MISSES_PER_WINDOW", 3):
            for number in range(3):
                answer = self.ask("identify", code=f"99999{number}", is_guess=True)
                self.assertEqual(answer["status"], "unknown")
            self.assertEqual(self.ask("identify", code="1", is_guess=True)["status"], "limited")
            self.assertEqual(self.identify(self.member.id)["status"], "found")
            for number in range(3):
                self.assertEqual(self.identify(f"99999{number}")["status"], "unknown")
            self.assertEqual(self.identify(self.member.id)["status"], "limited")

    # === Who may ask ===

    def assertForbidden(self, route="identify", **params):
        with mute_logger("odoo.http"), self.assertRaises(JsonRpcException) as caught:
            self.ask(route, **params)
        self.assertIn("Forbidden", str(caught.exception))

    def test_only_at_an_open_till_of_an_own_company(self):
        code = self.member.id
        self.assertForbidden(code=code, config_id=self.pos_config_eur.id)
        self.assertForbidden(code=code, session_id=0)
        self.assertForbidden(code=code, config_id="1; DROP TABLE")
        self.cashier.company_ids = self.other_company
        self.assertForbidden(code=code)

    def test_goes_on_in_the_company_of_the_till(self):
        companies = []

        def note(lookups, _is_guess):
            companies.append(lookups.env.company)
            return 0

        lookup = type(self.env["loyalty.engine.lookup"])
        with patch.object(lookup, "_seconds_to_wait", note):
            self.identify(self.member.id)
        self.assertEqual([company.id for company in companies], self.company.ids)

    def test_not_for_others_than_cashiers(self):
        new_user(self, "le_nobody")
        self.authenticate("le_nobody", "le_nobody")
        for route, params in {**self.BEGIN, **self.GO_ON}.items():
            with self.subTest(route=route):
                self.assertForbidden(route, **params)

    # What can begin something; the others go on in a session that was closed meanwhile.
    BEGIN = {
        "identify": {"code": "1"},
        "link_customer": {"member_ref": "1", "partner_id": 1},
        "vouchers": {"member_ref": "1"},
        "hold_voucher": {"order_uuid": "x", "code": "1"},
        "points_terms": {"order_uuid": "x", "member_ref": "1"},
        "hold_points": {"order_uuid": "x", "member_ref": "1", "points": 1, "due": "1"},
        "refund_terms": {"sold": [], "amount": "1"},
        "spend": {"order_uuid": "x", "till_key": "x", "claims": []},
    }
    GO_ON = {
        "receipt": {"order_uuid": "x"},
        "redemptions": {"order_uuid": "x"},
        "release": {"order_uuid": "x", "uuids": []},
        "abandon": {"order_uuid": "x", "till_key": "x"},
        "renew": {"order_uuid": "x", "till_key": "x"},
    }

    def test_not_when_the_session_is_closed(self):
        self.pos_session.state = "closed"
        for route, params in self.BEGIN.items():
            with self.subTest(route=route):
                self.assertForbidden(route, **params)
        for route, params in self.GO_ON.items():
            with self.subTest(route=route):
                self.assertIsInstance(self.ask(route, **params), dict)

    # === Linking ===

    def test_link_a_customer(self):
        answer = self.ask(
            "link_customer", member_ref=self.member.id, partner_id=self.partner_mobt.id
        )
        self.assertEqual(answer, {"status": "linked"})
        self.assertEqual(self.partner_mobt.loyalty_engine_ref, self.member.id)
        self.assertEqual(
            self.partner_mobt.loyalty_engine_account_number, self.member.account_number
        )
        self.assertEqual(
            self.partner_mobt.loyalty_engine_auth_identifier, self.member.auth_identifier
        )

    def test_a_member_and_a_customer_are_linked_to_one_only(self):
        self.link()
        answer = self.ask(
            "link_customer", member_ref=self.member.id, partner_id=self.partner_mobt.id
        )
        self.assertEqual(answer, {"status": "taken", "by": "customer"})
        other = self.link(demo.MEMBERS[1])
        answer = self.ask("link_customer", member_ref=demo.MEMBERS[2].id, partner_id=other.id)
        self.assertEqual(answer, {"status": "taken", "by": "member"})

    def test_an_archived_customer_keeps_a_member(self):
        self.link(active=False)
        answer = self.ask(
            "link_customer", member_ref=self.member.id, partner_id=self.partner_mobt.id
        )
        self.assertEqual(answer, {"status": "taken", "by": "customer"})

    def test_no_identifier_of_another_member_is_overwritten(self):
        other = demo.MEMBERS[1]
        for name in ("account_number", "auth_identifier"):
            with self.subTest(name=name):
                partner = self.env["res.partner"].create(
                    {"name": name, f"loyalty_engine_{name}": getattr(other, name)}
                )
                answer = self.ask("link_customer", member_ref=self.member.id, partner_id=partner.id)
                self.assertEqual(answer, {"status": "taken", "by": "member"})
                answer = self.ask(
                    "link_customer", member_ref=other.id, partner_id=self.partner_mobt.id
                )
                self.assertEqual(answer, {"status": "taken", "by": "customer"})
                partner.unlink()

    def test_a_browser_that_lies_links_nobody(self):
        answer = self.ask(
            "link_customer", member_ref="not a member", partner_id=self.partner_mobt.id
        )
        self.assertEqual(answer, {"status": "unknown"})
        self.assertFalse(self.partner_mobt.loyalty_engine_ref)

    def test_customers_who_are_merged_keep_their_member(self):
        other = demo.MEMBERS[1]
        for goes, stays, member in (
            (self.link(), self.partner_mobt, self.member),
            (self.partner_adgu, self.link(other), other),
        ):
            wizard = self.env["base.partner.merge.automatic.wizard"].create({})
            wizard._merge((goes + stays).ids, stays, extra_checks=False)
            self.assertFalse(goes.exists())
            self.assertEqual(stays.loyalty_engine_ref, member.id)
            self.assertEqual(stays.loyalty_engine_account_number, member.account_number)

    def test_a_till_forgets_its_customers_when_a_connection_is_chosen(self):
        """It keeps them, and has them without members' ids."""
        config = self.pos_config_eur
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE pos_config SET last_data_change = last_data_change - interval '1 day'"
        )
        self.env.invalidate_all()
        before = config.last_data_change
        config.loyalty_engine_id = self.engine
        self.assertGreater(config.last_data_change, before)

    # === Receipt ===

    def test_receipt_of_a_reported_sale(self):
        self.patch(pos_loyalty_engine, "RECEIPT_DEADLINE", 10)
        order = self.sell(quantity=3, member=self.member)
        self.assertEqual(self.ask("receipt", order_uuid=order.uuid)["state"], "waiting")
        self.send_reports()
        self.sandbox.wait_for_reactors()
        answer = self.ask("receipt", order_uuid=order.uuid)
        self.assertEqual(answer["state"], "sent")
        self.assertEqual(answer["points_earned"], 30)
        self.assertEqual(answer["points"], self.member.points + 30)
        self.assertEqual(self.report_of(order).points_earned, 30)

    def test_receipt_of_a_sale_to_anybody(self):
        order = self.sell()
        self.send_reports()
        answer = self.ask("receipt", order_uuid=order.uuid)
        self.assertEqual((answer["points_earned"], answer["points"]), (None, None))

    def test_receipt_while_the_engine_is_slow(self):
        order = self.sell(member=self.member)
        self.send_reports()
        self.sandbox.faults(kind="latency", seconds=2)
        answer = self.ask("receipt", order_uuid=order.uuid)
        self.assertEqual((answer["state"], answer["points_earned"]), ("sent", None))

    def test_receipts_hold_nothing_against_a_slow_engine(self):
        order = self.sell(member=self.member)
        self.send_reports()
        self.sandbox.faults(kind="latency", seconds=2)
        for _receipt in range(3):
            self.ask("receipt", order_uuid=order.uuid)
        self.assertFalse(self.engine._health().failures)
        # Nor do they use up the one request that tries whether it is back.
        self.sandbox.reset()
        self.env["loyalty.engine.health"].sudo().create(
            {
                "engine_id": self.engine.id,
                "failures": 3,
                "resume_at": fields.Datetime.subtract(fields.Datetime.now(), minutes=1),
            }
        )
        self.ask("receipt", order_uuid=order.uuid)
        self.assertEqual(self.identify(self.member.id)["status"], "found")

    def test_receipt_tells_the_points_where_only_the_balance_is_late(self):
        self.patch(pos_loyalty_engine, "RECEIPT_DEADLINE", 2)
        order = self.sell(member=self.member)
        self.send_reports()
        self.sandbox.wait_for_reactors()
        self.sandbox.faults(kind="latency", seconds=5, path="/users/*")
        answer = self.ask("receipt", order_uuid=order.uuid)
        self.assertEqual((answer["points_earned"], answer["points"]), (30, None))

    def test_receipt_asks_for_points_and_balance_at_once(self):
        self.patch(pos_loyalty_engine, "RECEIPT_DEADLINE", 5)
        order = self.sell(member=self.member)
        self.send_reports()
        self.sandbox.wait_for_reactors()
        # One after the other they would take longer than there is time.
        self.sandbox.faults(kind="latency", seconds=3)
        answer = self.ask("receipt", order_uuid=order.uuid)
        self.assertEqual(answer["points"], self.member.points + 30)
