import io
from pathlib import Path
from unittest.mock import patch

import polib

from odoo.tests import TransactionCase, tagged
from odoo.tools.translate import trans_export

import odoo.addons

MODULE = "pos_loyalty_engine"
TEMPLATE = Path(__file__).parent.parent / "i18n" / f"{MODULE}.pot"


@tagged("post_install", "-at_install")
class TestTranslations(TransactionCase):
    def _terms(self, template):
        """What is to be translated; labels of fields that mail gives our models are Odoo's own."""
        mails = {*self.env["mail.thread"]._fields, *self.env["mail.activity.mixin"]._fields}
        return {
            entry.msgid
            for entry in polib.pofile(template)
            if any(
                not place.startswith("model:ir.model.fields,")
                or place.rpartition("__")[2] not in mails
                for place, _line in entry.occurrences
            )
        }

    def test_the_template_is_up_to_date(self):
        exported = io.BytesIO()
        # The export looks through all folders of modules for ours.
        ours = [path for path in odoo.addons.__path__ if (Path(path) / MODULE).exists()]
        with patch.object(odoo.addons, "__path__", ours):
            trans_export(None, [MODULE], exported, "po", self.env)
        self.assertEqual(
            self._terms(exported.getvalue().decode()),
            self._terms(str(TEMPLATE)),
            "bin/translations makes the template again.",
        )
