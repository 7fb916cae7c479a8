import importlib.util

from odoo.tests import HttpCase, tagged
from odoo.tools import file_path

from ..sandbox import demo
from .common import CASHIER, TourCase, WithEngine, WithTours, keep_routes, new_user
from .sandbox_process import SandboxProcess

MIA = demo.MEMBERS[0]
TOTAL = 40


class TestTours(TourCase):
    def sold(self):
        """The one paid order."""
        order = self.env["pos.order"].search([("config_id", "=", self.config.id)])
        self.assertEqual(order.mapped("state"), ["paid"])
        self.assertEqual(order.amount_total, TOTAL)
        return order

    def reported(self):
        """The one event that the engine holds once all is reported, with its points given."""
        self.send_reports()
        self.sandbox.wait_for_reactors()
        (event,) = self.events()
        return event

    def test_sale(self):
        """Also of a cashier whose default company is another: it sells in the till's company."""
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        cashier = new_user(
            self, "le_cashier_elsewhere", CASHIER, companies=elsewhere + self.company
        )
        self.tour("sale", cashier)
        order = self.sold()
        self.assertEqual(order.loyalty_engine_member_code, MIA.account_number)
        self.assertEqual(order.loyalty_engine_member_ref, MIA.id)

        event = self.reported()
        self.assertEqual(event["subject"], MIA.id)
        self.assertEqual(event["payload"]["cashierId"], f"user-{cashier.id}")
        self.assertEqual(event["memberId"], MIA.id)
        # Two of three prices include the tax.
        payload = event["payload"]
        totals = [payload[name] for name in ("total", "totalWithoutTax", "tax", "earningTotal")]
        self.assertEqual(totals, [40.0, 37.27, 2.73, 40.0])
        names = ("sku", "unitPrice", "amount", "amountWithoutTax", "category")
        self.assertEqual(
            [tuple(line[name] for name in names) for line in payload["lines"]],
            [
                ("TEN", 10.0, 10.0, 9.09, "Round figures"),
                ("TWENTY", 20.0, 20.0, 18.18, "Round figures"),
                ("PLAIN", 10.0, 10.0, 10.0, "Round figures"),
            ],
        )
        self.assertEqual(event["points"], TOTAL)
        self.assertEqual(self.sandbox.member(MIA.id)["points"], MIA.points + TOTAL)

    def test_codes(self):
        """Unknown, restricted, typed, replaced, scanned into the popup, removed."""
        self.tour("codes")
        order = self.sold()
        self.assertFalse(order.loyalty_engine_member_code)
        self.assertFalse(order.loyalty_engine_member_ref)
        self.assertFalse(self.reported().get("subject"))

    def test_customer(self):
        self.partner_adgu.loyalty_engine_ref = MIA.id
        self.tour("customer")
        order = self.sold()
        self.assertEqual(order.partner_id, self.partner_adgu)
        self.assertEqual(order.loyalty_engine_member_ref, MIA.id)
        self.assertEqual(self.reported()["subject"], MIA.id)

    def test_link(self):
        self.tour("link")
        order = self.sold()
        self.assertEqual(order.partner_id, self.partner_adgu)
        self.assertEqual(self.partner_adgu.loyalty_engine_ref, MIA.id)
        self.assertEqual(self.partner_adgu.loyalty_engine_account_number, MIA.account_number)

    def test_engine_down(self):
        self.sandbox.stop()
        try:
            self.tour("down")
        finally:
            self.sandbox.start()
        self.end_the_rest()
        order = self.sold()
        self.assertEqual(order.loyalty_engine_member_code, MIA.account_number)
        self.assertFalse(order.loyalty_engine_member_ref)
        self.assertEqual(self.reported()["memberId"], MIA.id)

    def test_offline(self):
        self.tour("offline")
        order = self.sold()
        self.assertEqual(order.loyalty_engine_member_code, MIA.account_number)
        self.assertFalse(order.loyalty_engine_member_ref)
        event = self.reported()
        self.assertEqual(event["memberId"], MIA.id)
        self.assertEqual(event["payload"]["transactionId"], order.uuid)

    def test_reload_and_other_till(self):
        """The member survives a reload and follows the order to another till."""
        self.config.trusted_config_ids = self.config.copy({"name": "Next till"})
        self.tour("reload")
        order = self.env["pos.order"].search([("config_id", "=", self.config.id)])
        self.assertEqual(order.state, "draft")
        self.assertEqual(order.loyalty_engine_member_ref, MIA.id)
        self.tour("other_till")
        self.assertEqual(self.sold(), order)
        self.assertEqual(order.loyalty_engine_member_ref, MIA.id)


@tagged("post_install", "-at_install", "tour")
class TestDemo(WithTours, WithEngine, HttpCase):
    """The main job, on what bin/demo makes."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = cls.enterClassContext(SandboxProcess())
        path = file_path("pos_loyalty_engine/bin/_demo_data.py")
        spec = importlib.util.spec_from_file_location("demo_data", path)
        demo_data = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(demo_data)
        env = cls.env(user=cls.env.ref("base.user_admin"))
        cls.config = demo_data.make_shop(env)
        cls.cashier = demo_data.make_cashier(env, *demo_data.CASHIERS[0])
        cls.customer = demo_data.make_customer(env, MIA)
        demo_data.make_connection(env, cls.config, cls.sandbox.url)
        keep_routes(cls)

    def test_main_job(self):
        self.tour("demo")
        order = self.env["pos.order"].search([("config_id", "=", self.config.id)])
        self.assertEqual(order.state, "paid")
        self.assertEqual(order.partner_id, self.customer)
        self.send_reports()
        self.sandbox.wait_for_reactors()
        (event,) = self.events()
        self.assertEqual(event["type"], "POS_SALE")
        self.assertEqual(event["subject"], MIA.id)
        self.assertEqual(event["memberId"], MIA.id)
        self.assertEqual(event["executor"], f"pos-{self.config.id}")
        self.assertEqual(
            event["occurredAt"], f"{order.date_order.isoformat(timespec='milliseconds')}Z"
        )
        self.assertEqual(
            event["payload"],
            {
                "transactionId": order.uuid,
                "receiptNumber": order.pos_reference,
                "storeId": "corner-bakery",
                "tillId": f"pos-{self.config.id}",
                "cashierId": f"user-{self.cashier.id}",
                "currency": "EUR",
                "total": 19.78,
                "totalWithoutTax": 17.2,
                "tax": 2.58,
                "discount": 0.0,
                "lines": [
                    {
                        "sku": sku,
                        "quantity": 1,
                        "unitPrice": price,
                        "amount": amount,
                        "amountWithoutTax": price,
                        "discount": 0.0,
                        "category": "Food",
                    }
                    for sku, price, amount in (
                        ("BUTTER-CROISSANT", 1.2, 1.38),
                        ("APPLE-PIE", 12.0, 13.8),
                        ("RYE-BREAD", 4.0, 4.6),
                    )
                ],
                "payments": [{"kind": "cash", "amount": 19.78}],
                "redemptions": [],
                "earningTotal": 19.78,
            },
        )
        self.assertEqual(event["points"], 19)
        self.assertEqual(self.sandbox.member(MIA.id)["points"], MIA.points + 19)
        # Now that the engine has answered, a receipt tells what the sale has earned.
        self.tour("demo_reprint")
