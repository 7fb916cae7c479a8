import inspect

from odoo.tests import tagged

from odoo.addons.point_of_sale.tests.common import TestPoSCommon

from ..models.pos_order import PosOrder


@tagged("post_install", "-at_install")
class TestQueries(TestPoSCommon):
    """What the module costs each order that a till syncs, in database queries."""

    def setUp(self):
        super().setUp()
        self.config = self.basic_config
        self.open_new_session()
        self.product = self.create_product("Tea", self.categ_basic, 10.0, 5.0)

    def _sync(self):
        order = self.create_ui_order_data([(self.product, 3)])
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        self.env["pos.order"].sync_from_ui([order])
        self.env.flush_all()
        return self.env.cr.sql_log_count - before

    def _sync_with(self, engine):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE pos_config SET loyalty_engine_id = %s WHERE id = %s",
            (engine.id or None, self.config.id),
        )
        self.env.invalidate_all()
        self._sync()
        return min(self._sync() for _attempt in range(3))

    def test_with_a_connection_at_most_ten_queries_more(self):
        engine = self.env["loyalty.engine"].create(
            {
                "name": "Never asked",
                "company_id": self.company.id,
                "environment": "custom",
                "rewards_url": "http://127.0.0.1:9/v1",
                "token_url": "http://127.0.0.1:9/oauth/token",
            }
        )
        without = self._sync_with(self.env["loyalty.engine"])
        with_connection = self._sync_with(engine)
        self.assertTrue(
            self.env["loyalty.engine.report"].search([("config_id", "=", self.config.id)])
        )
        self.assertLessEqual(with_connection - without, 10)

    def test_without_connection_no_query_more(self):
        nothing = self.env["loyalty.engine"]
        with_module = self._sync_with(nothing)
        taken_off = self._take_off_overrides()
        self.assertIn(("pos.order", "action_pos_order_paid"), taken_off)
        self.patch(PosOrder, "_compute_loyalty_engine_report_state", self._leave_empty)
        self.assertEqual(with_module, self._sync_with(nothing))

    def _take_off_overrides(self):
        """Let every method of Odoo's that the module extends do what it does without the module.

        :return: list of (model, method)
        """
        taken_off = []
        for name, model in self.env.registry.items():
            if name.startswith("loyalty.engine"):
                continue
            ancestors = model.__mro__
            for number, base in enumerate(ancestors):
                if not base.__module__.startswith("odoo.addons.pos_loyalty_engine."):
                    continue
                for method, function in list(vars(base).items()):
                    is_override = any(method in vars(other) for other in ancestors[number + 1 :])
                    if inspect.isfunction(function) and is_override:
                        self.patch(base, method, _like_without(base, method))
                        taken_off.append((name, method))
        return taken_off

    @staticmethod
    def _leave_empty(orders):
        orders.loyalty_engine_report_state = False


def _like_without(base, method):
    def call(records, *args, **kwargs):
        return getattr(super(base, records), method)(*args, **kwargs)

    return call
