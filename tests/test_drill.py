"""The drill kills processes at the ledger's writes: it has to know all of them."""

import re
import unittest
from pathlib import Path

from ..drill.inside.kills import LEDGER_WRITES

MODULE = Path(__file__).parent.parent
READS = {
    "_check_voucher_limits",
    "_count_rows",
    "_next_look_up",
    "_now",
    "_of_order",
    "_refund_terms",
    "_row",
    "_rows",
    "_seconds_spent",
    "_some_rows",
    "_taken",
    "_unallotted_refunds",
    "_unbacked",
    "_unseen_refunds",
    "_unshown",
    "_views_of_order",
}
# In the back office, where the drill doesn't go
OF_A_PERSON = {"_made_good", "_send_again"}


class TestKills(unittest.TestCase):
    def test_every_write_of_the_ledger_is_a_place(self):
        called = set()
        for source in (*MODULE.glob("models/*.py"), *MODULE.glob("controllers/*.py")):
            called |= set(re.findall(r'\b_(?:alone|ledger)\(\s*"(\w+)"', source.read_text()))
        self.assertEqual(called - READS - OF_A_PERSON, set(LEDGER_WRITES))
