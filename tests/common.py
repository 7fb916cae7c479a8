from unittest.mock import patch

from odoo.tests import HttpCase, new_test_user, tagged

from odoo.addons.point_of_sale.tests.common import CommonPosTest

from ..sandbox import demo
from .sandbox_process import SandboxProcess

# Without one Odoo asks all the time whether a page is ready, which keeps the page from loading.
PAUSE = "new Promise((resolve) => setTimeout(resolve, 100))"


CASHIER = "point_of_sale.group_pos_user"
MANAGER = "point_of_sale.group_pos_manager"


def new_user(case, login, *groups, companies=None):
    """A user of the shop's company, or of these companies: the first is the default one."""
    companies = companies or case.company
    return new_test_user(
        case.env,
        login,
        groups=",".join(("base.group_user", *groups)),
        company_id=companies[:1].id,
        company_ids=[(6, 0, companies.ids)],
    )


def keep_routes(case):
    """Let a class find its routes once: after each test Odoo forgets which there are."""
    ir_http = case.registry["ir.http"]
    find, found = ir_http.routing_map, {}

    def routing_map(http, key=None):
        if key not in found:
            found[key] = find(http, key)
        return found[key]

    case.startClassPatcher(patch.object(ir_http, "routing_map", routing_map))


class WithEngine:
    """A sandbox engine, at ``cls.sandbox``, and the job that reports to it."""

    def setUp(self):
        super().setUp()
        self.sandbox.reset()

    def send_reports(self):
        """Run the sending job as cron does."""
        with self.enter_registry_test_mode():
            self.env.ref("pos_loyalty_engine.ir_cron_send_reports").method_direct_trigger()
        self.env.invalidate_all()

    def events(self, kind="POS_SALE"):
        return [event for event in self.sandbox.events() if event["type"] == kind]


class WithTours:
    """A cashier at a real till, ``self.config``, in a real browser."""

    def tour(self, name, cashier=None, config=None):
        cashier = cashier or self.cashier
        config = config or self.config
        tour = f"pos_loyalty_engine_{name}"
        self.start_tour(
            f"/pos/ui/{config.id}",
            tour,
            login=cashier.login,
            ready=f"{PAUSE}.then(() => odoo.isTourReady({tour!r}))",
            timeout=180,
        )
        self.env.invalidate_all()


@tagged("post_install", "-at_install")
class LoyaltyEngineCase(WithEngine, CommonPosTest):
    """A shop with a connection to a sandbox engine that runs in a process of its own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = cls.enterClassContext(SandboxProcess())
        cls.engine = cls.env["loyalty.engine"].create(
            {
                "name": "Sandbox",
                "company_id": cls.company.id,
                "environment": "custom",
                "rewards_url": cls.sandbox.rewards_url,
                "receipts_url": cls.sandbox.receipts_url,
                "token_url": cls.sandbox.token_url,
                "api_key": demo.API_KEY,
                "client_id": demo.CLIENT_ID,
                "client_secret": demo.CLIENT_SECRET,
                "audience": demo.AUDIENCE,
                "event_secret": demo.EVENT_SECRET,
                "points_value": 0.01,
                "estimated_points_per_unit": 1,
            }
        )
        cls.config = cls.pos_config_usd
        cls.config.write({"loyalty_engine_id": cls.engine.id, "loyalty_engine_store": "372"})
        cls.product = cls.ten_dollars_with_10_incl.product_variant_id
        cls.product.write(
            {
                "default_code": "TEN",
                "categ_id": cls.env["product.category"].create({"name": "Tens"}).id,
            }
        )
        cls.member = demo.MEMBERS[0]

    def sell(self, quantity=3, discount=0, member=None, **values):
        """A paid order of the back office, at the till's price; ``member``: the engine's."""
        if member:
            values["loyalty_engine_member_ref"] = member.id
            values["loyalty_engine_member_code"] = member.account_number
        order, _refund = self.create_backend_pos_order(
            {
                "pos_config": self.config,
                "order_data": values,
                "line_data": [
                    {"product_id": self.product.id, "qty": quantity, "discount": discount}
                ],
                "payment_data": [{"payment_method_id": self.cash_payment_method.id}],
            }
        )
        return order

    def report_of(self, order):
        report = self.env["loyalty.engine.report"].search([("order_uuid", "=", order.uuid)])
        report.invalidate_recordset()
        return report

    def rest_on(self):
        """A connection that rests does so for longer than any test takes."""
        self._rest_until(1)

    def end_the_rest(self):
        """Let the time pass in which a connection rests after a failure."""
        self._rest_until(-1)

    def _rest_until(self, days):
        self.env.cr.execute(
            "UPDATE loyalty_engine_health SET resume_at = now() + %s * interval '1 day'"
            " WHERE resume_at IS NOT NULL",
            (days,),
        )
        self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TillCase(LoyaltyEngineCase, HttpCase):
    """The routes as a cashier's browser calls them, in an open session."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_company = cls.env["res.company"].create({"name": "Elsewhere"})
        # Works here too, but somewhere else by default: an own route carries no company.
        companies = cls.other_company + cls.company
        cls.cashier = new_user(cls, "le_cashier", CASHIER, companies=companies)
        cls.config.open_ui()
        cls.pos_session = cls.config.current_session_id
        cls.pos_session.set_opening_control(0, "")
        keep_routes(cls)

    def setUp(self):
        super().setUp()
        self.authenticate("le_cashier", "le_cashier")

    def ask(self, route, **params):
        params = {"config_id": self.config.id, "session_id": self.pos_session.id, **params}
        answer = self.make_jsonrpc_request(f"/pos_loyalty_engine/{route}", params)
        self.env.invalidate_all()
        return answer


@tagged("post_install", "-at_install", "tour")
class TourCase(WithTours, LoyaltyEngineCase, HttpCase):
    """A cashier at a real till in a real browser, with a sandbox engine behind the server."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.products = (
            cls.ten_dollars_with_10_incl + cls.twenty_dollars_with_10_incl + cls.ten_dollars_no_tax
        )
        cls.products.categ_id = cls.env["product.category"].create({"name": "Round figures"})
        for product, sku in zip(cls.products, ("TEN", "TWENTY", "PLAIN"), strict=True):
            product.default_code = sku
        cls.cashier = new_user(cls, "le_cashier", CASHIER)
        keep_routes(cls)

    def setUp(self):
        super().setUp()
        # The sandbox forgets its options with the rest.
        self.sandbox.set_options(reactor_delay=0)
