from odoo import models

from ..models.res_partner import MEMBER_IDENTIFIERS


class PartnerMerge(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    def _update_values(self, src_partners, dst_partner):
        """The member goes along: with all identifiers of one contact, and not while another one
        still has them."""
        contacts = (dst_partner + src_partners).sudo()
        linked = contacts.filtered(lambda contact: any(_identifiers(contact).values()))
        identifiers = _identifiers(linked[:1])
        src_partners.sudo().write(dict.fromkeys(MEMBER_IDENTIFIERS, False))
        src_partners.flush_recordset(MEMBER_IDENTIFIERS)
        result = super()._update_values(src_partners, dst_partner)
        dst_partner.sudo().write(identifiers)
        return result


def _identifiers(contact):
    return {name: contact[name] for name in MEMBER_IDENTIFIERS}
