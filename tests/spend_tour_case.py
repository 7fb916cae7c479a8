import contextlib
import threading
import time
from datetime import timedelta

from ..sandbox import demo
from .common import TourCase

MIA = demo.MEMBERS[0]
FIVE, TEN = demo.BENEFITS[:2]
# Seconds to wait for what a tour does
PATIENCE = 60


class SpendTourCase(TourCase):
    """Vouchers and points at a real till in a real browser. After each tour three books are
    compared: Odoo's order, the ledger, and what the sandbox has burned, taken and been told."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine.write(
            {"accepts_vouchers": True, "points_value_source": "fixed", "points_ready": True}
        )
        cls.config.loyalty_engine_points_booking = "discount"
        cls.recovery = cls.env.ref("pos_loyalty_engine.ir_cron_recover_redemptions")
        cls.env["barcode.rule"].create(
            {
                "name": "Vouchers",
                "barcode_nomenclature_id": cls.company.nomenclature_id.id,
                "type": "loyalty_engine_voucher",
                "pattern": "MIA-TEN",
                "sequence": 1,
                "encoding": "any",
            }
        )

    def setUp(self):
        super().setUp()
        self.sandbox.set_options(reward_currency=self.config.currency_id.name)

    # === What happens beside a tour ===

    @contextlib.contextmanager
    def once_held(self, do):
        """Do something as soon as the till has had its voucher checked."""
        done, failures = threading.Event(), []

        def watch():
            try:
                ends = time.monotonic() + PATIENCE
                while not done.is_set() and time.monotonic() < ends:
                    if self.checks():
                        do()
                        return
                    time.sleep(0.02)
                failures.append("the voucher was never checked")
            except Exception as error:  # pylint: disable=broad-except
                failures.append(repr(error))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        self.assertFalse(failures)

    def checks(self):
        """The checks of a voucher without burning it."""
        return [
            request
            for request in self.sandbox.requests()
            if request["path"].endswith("/validate_voucher")
            and b'"allowFutureValidation": true' in request["body"].replace(b":t", b": t")
            and request["status"] == 200
        ]

    # === The three books ===

    def sold(self, total, config=None):
        """The one paid order."""
        config = config or self.config
        order = self.env["pos.order"].search([("config_id", "=", config.id)])
        self.assertEqual(order.mapped("state"), ["paid"])
        self.assertEqual(order.amount_total, total)
        self.assertEqual(order.amount_paid, total)
        self.assertAlmostEqual(sum(order.lines.mapped("price_subtotal_incl")), total)
        return order

    def recover(self):
        with self.enter_registry_test_mode():
            self.recovery.method_direct_trigger()
        self.env.invalidate_all()

    def let_pass(self, seconds):
        """Let this time pass for all redemptions."""
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_redemption
               SET sent_at = sent_at - %(passed)s, spent_at = spent_at - %(passed)s,
                   look_up_at = look_up_at - %(passed)s,
                   lease_until = lease_until - %(passed)s
            """,
            {"passed": timedelta(seconds=seconds)},
        )
        self.env.invalidate_all()

    def ledger(self, order):
        """State and value of the order's redemptions after recovery, by kind."""
        self.recover()
        rows = self.env["loyalty.engine.redemption"].search([("order_uuid", "=", order.uuid)])
        return {
            row.kind: (row.state, float(row.claimed_amount or 0))
            for row in rows
            if row.state not in ("released", "expired")
        }

    def discounts(self, order):
        """What the order's discount lines take off, by redemption."""
        taken = {}
        for line in order.lines.filtered("loyalty_engine_redemption"):
            uuid = line.loyalty_engine_redemption
            taken[uuid] = round(taken.get(uuid, 0) - line.price_subtotal_incl, 2)
        return sorted(taken.values())

    def burned(self):
        """The benefits that were burned in this test."""
        return [burn["benefit"] for burn in self.sandbox.burns()]

    def points(self):
        self.sandbox.wait_for_reactors()
        return self.sandbox.member(MIA.id)["points"]

    def report(self, order):
        """What the engine was told of the sale."""
        self.send_reports()
        self.sandbox.wait_for_reactors()
        (event,) = self.events()
        self.assertEqual(event["payload"]["transactionId"], order.uuid)
        return event["payload"]
