from odoo import api, fields, models

from ..models.pos_payment_method import TERMINAL

JOURNAL_CODE = "PTS"
# Where a company has no account of this type yet; the next free code is taken.
FIRST_LIABILITY_CODE = "219900"


class LoyaltyEnginePointsPayment(models.TransientModel):
    """Makes what points need to be a payment: the account of what is owed to members, a journal and
    a payment method. Run again it finds what is there."""

    _name = "loyalty.engine.points.payment"
    _description = "Set Up Points as a Payment"
    _check_company_auto = True

    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, default=lambda self: self.env.company
    )
    method_id = fields.Many2one(
        "pos.payment.method", string="Payment Method", compute="_compute_method_id"
    )
    account_id = fields.Many2one(
        "account.account",
        string="Liability",
        compute="_compute_account_id",
        store=True,
        readonly=False,
        check_company=True,
        domain="[('account_type', 'in', ('liability_current', 'liability_non_current'))]",
        help="The account of what the shop owes its members. A payment with points takes from it. "
        "Empty: one is made.",
    )
    config_ids = fields.Many2many(
        "pos.config",
        string="Points of Sale",
        check_company=True,
        domain="[('company_id', '=', company_id), ('loyalty_engine_id', '!=', False)]",
        help="Where points are a payment from now on. A session must not be open there.",
    )

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        if "config_ids" in fields and "config_ids" not in values:
            engine = self.env["loyalty.engine"].browse(self.env.context.get("points_engine_id"))
            config = self.env["pos.config"].browse(self.env.context.get("points_config_id"))
            configs = config or engine.config_ids.filtered(
                lambda config: not config.has_active_session
            )
            values["config_ids"] = [(6, 0, configs.ids)]
        return values

    @api.depends("company_id")
    def _compute_method_id(self):
        for wizard in self:
            wizard.method_id = wizard._existing_method()

    @api.depends("method_id")
    def _compute_account_id(self):
        for wizard in self:
            wizard.account_id = wizard.method_id.sudo().outstanding_account_id

    def _existing_method(self):
        """The points method of this company, also one that was put away."""
        return (
            self.env["pos.payment.method"]
            .with_context(active_test=False)
            .search(
                [("use_payment_terminal", "=", TERMINAL), ("company_id", "=", self.company_id.id)],
                order="active desc, id",
                limit=1,
            )
        )

    def action_set_up(self):
        """Make what is missing, and let the chosen points of sale use it.

        :raises AccessError: for others than system administrators
        :raises UserError: when a session is open where something has to change
        """
        self.ensure_one()
        self.check_access("write")
        # Whoever may set up the connection need not be an accountant.
        wizard = self.sudo().with_company(self.company_id)
        method = wizard._make_method()
        for config in wizard.config_ids:
            if method not in config.payment_method_ids:
                config.payment_method_ids = [(4, method.id)]
            if config.loyalty_engine_points_booking != "payment":
                config.loyalty_engine_points_booking = "payment"
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("Points are a payment now: %s", method.display_name),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def _make_method(self):
        method = self._existing_method()
        account = self.account_id or method.outstanding_account_id or self._make_account()
        if not method:
            method = self.env["pos.payment.method"].create(
                {
                    "name": self.env._("Points"),
                    "company_id": self.company_id.id,
                    "journal_id": self._make_journal(account).id,
                    "outstanding_account_id": account.id,
                    "payment_method_type": "terminal",
                    "use_payment_terminal": TERMINAL,
                    "sequence": 20,
                }
            )
            self._name_everywhere(method, lambda env: env._("Points"))
        if not method.active:
            method.active = True
        if method.outstanding_account_id != account:
            method.outstanding_account_id = account
            method.journal_id.default_account_id = account
        return method

    def _make_account(self):
        accounts = self.env["account.account"]
        neighbour = accounts.search(
            [
                *accounts._check_company_domain(self.company_id),
                ("account_type", "=", "liability_current"),
            ],
            limit=1,
        )
        # Not to be reconciled: a payment takes from it, and with that it is done.
        account = accounts.create(
            {
                "name": self.env._("Points of Members"),
                "code": accounts._search_new_account_code(neighbour.code or FIRST_LIABILITY_CODE),
                "account_type": "liability_current",
                "reconcile": False,
                "company_ids": [(6, 0, self.company_id.ids)],
            }
        )
        self._name_everywhere(account, lambda env: env._("Points of Members"))
        return account

    def _make_journal(self, account):
        # The liability is the journal's own account as well: no bank account is made for it, and no
        # statement is waited for.
        journal = self.env["account.journal"].create(
            {
                "name": self.env._("Points"),
                "code": self._free_journal_code(),
                "type": "bank",
                "company_id": self.company_id.id,
                "default_account_id": account.id,
                "show_on_dashboard": False,
            }
        )
        self._name_everywhere(journal, lambda env: env._("Points"))
        return journal

    def _free_journal_code(self):
        taken = set(
            self.env["account.journal"]
            .with_context(active_test=False)
            .search([("company_id", "=", self.company_id.id)])
            .mapped("code")
        )
        codes = [JOURNAL_CODE, *(f"{JOURNAL_CODE}{number}" for number in range(1, 100))]
        return next(code for code in codes if code not in taken)

    def _name_everywhere(self, record, words):
        """Name ``record`` in every installed language.

        :param words: function of an environment
        """
        for code, _language in self.env["res.lang"].get_installed():
            record.with_context(lang=code).name = words(self.with_context(lang=code).env)
