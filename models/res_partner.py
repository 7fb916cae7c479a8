from odoo import api, fields, models
from odoo.fields import Domain

from .pos_config import is_self_order

MEMBER_IDENTIFIERS = (
    "loyalty_engine_ref",
    "loyalty_engine_account_number",
    "loyalty_engine_auth_identifier",
)


class ResPartner(models.Model):
    _inherit = "res.partner"

    loyalty_engine_ref = fields.Char(
        string="Loyalty Engine ID",
        copy=False,
        help="The member's id at the Loyalty Engine (a UUID).",
    )
    loyalty_engine_account_number = fields.Char(
        string="Loyalty Account Number",
        copy=False,
        help="The member's account number at the Loyalty Engine (7 digits).",
    )
    loyalty_engine_auth_identifier = fields.Char(
        string="Loyalty Auth Identifier",
        copy=False,
        groups="point_of_sale.group_pos_manager",
        help="The identifier that the member signs in with; the Receipts service asks for it.",
    )

    _loyalty_engine_ref_uniq = models.UniqueIndex(
        "(loyalty_engine_ref, COALESCE(company_id, 0)) WHERE loyalty_engine_ref IS NOT NULL",
        "Another contact of this company is already linked to this Loyalty Engine member.",
    )
    _loyalty_engine_account_number_uniq = models.UniqueIndex(
        "(loyalty_engine_account_number, COALESCE(company_id, 0))"
        " WHERE loyalty_engine_account_number IS NOT NULL",
        "Another contact of this company already has this loyalty account number.",
    )
    _loyalty_engine_auth_identifier_uniq = models.UniqueIndex(
        "(loyalty_engine_auth_identifier, COALESCE(company_id, 0))"
        " WHERE loyalty_engine_auth_identifier IS NOT NULL",
        "Another contact of this company already has this loyalty auth identifier.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._loyalty_engine_clean(vals) for vals in vals_list])

    def write(self, vals):
        return super().write(self._loyalty_engine_clean(vals))

    @api.model
    def _loyalty_engine_clean(self, vals):
        """An emptied identifier is stored as NULL, so that the unique indexes pass it over."""
        if not any(name in vals for name in MEMBER_IDENTIFIERS):
            return vals
        return {
            name: ((value or "").strip() or False) if name in MEMBER_IDENTIFIERS else value
            for name, value in vals.items()
        }

    @api.model
    def _load_pos_data_fields(self, config):
        names = super()._load_pos_data_fields(config)
        is_wanted = config.loyalty_engine_id and not is_self_order()
        return [*names, "loyalty_engine_ref"] if is_wanted else names

    @api.model
    def _loyalty_engine_linked(self, readings, company):
        """Contacts that ``company`` sees and that one of the ``readings`` of a code identifies.

        :param readings: list of str, each a way to read the scanned code
        :return: active contacts (or all, as the context says), at most three: two are already
            ambiguous
        """
        identified = Domain.OR([(name, "in", readings)] for name in MEMBER_IDENTIFIERS)
        return self.sudo().search(
            Domain(identified) & Domain("company_id", "in", (False, company.id)), limit=3
        )

    def _loyalty_engine_refs(self):
        """The engine's ids of the members whom these contacts are."""
        return list(dict.fromkeys(filter(None, self.mapped("loyalty_engine_ref"))))

    def _loyalty_engine_taken(self, identifiers, company):
        """What is in the way of linking this contact to a member with these identifiers.

        :param identifiers: dict of "ref", "account_number", "auth_identifier" to str or None
        :return: "member": the contact is another's; "customer": the member is another contact's,
            perhaps an archived one's; None: nothing
        """
        self.ensure_one()
        contact = self.sudo().with_context(active_test=False)
        given = {name: value for name, value in identifiers.items() if value}
        if any(contact[f"loyalty_engine_{name}"] not in (False, given[name]) for name in given):
            return "member"
        others = contact._loyalty_engine_linked(list(given.values()), company) - contact
        return "customer" if others else None
