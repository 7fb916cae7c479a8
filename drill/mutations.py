"""Each protection is switched off in turn, and the drill must find the damage.

A drill that finds nothing is worth as much as what it is able to find.
"""

from bench.figures import Table

from . import directed
from .books import Books
from .stage import Stage

#: By protection (``inside/without.py``), the stories that can't end well without it.
NEEDED_BY = {
    ("write_first",): ["all of odoo dies with points on their way"],
    ("one_spends",): ["two clicks"],
    ("one_claim",): ["answer lost while another till burns"],
    ("lock",): ["twenty tills on one member"],
    ("judged_at_spend",): ["twenty tills on one member"],
    ("subtracted_until_shown",): ["reaction held back while a second till spends"],
    ("late_is_awaited", "audit"): ["points that land after a look", "burn that lands after a look"],
    ("audit",): ["points that land when nobody waits any more"],
    ("event_is_evidence",): ["another channel spends while nobody knows"],
    ("patience",): ["paid offline comes after three days"],
    ("lease",): ["cancelled elsewhere while at the terminal"],
    ("reaction_first",): ["reactor that is switched off"],
    ("return_is_awaited",): ["points back that land after a look"],
    ("return_is_looked_up",): ["points back whose answer is lost"],
    ("stop_at_failure",): ["second of three unknown"],
    ("carried_is_settled",): ["two clicks"],
    ("manager_is_told",): ["payment longer than its lease"],
}


def check_mutations(arguments):
    """:return: whether each damage was found"""
    table = Table("Protections switched off")
    for names, stories in NEEDED_BY.items():
        found = damage(arguments.tills, names, stories)
        table.row(" + ".join(names), sum(map(len, found.by_column.values())), "found", least=1)
        for column, texts in found.by_column.items():
            table.note(f"  {column}: {texts[0]}" if texts else "")
    return not table.broken


def damage(tills, names, stories):
    """:return: Findings of these stories, with these protections off"""
    with Stage(tills, names) as stage:
        tellers = directed.tell_all(stage, stories)
        stage.settle(limit=60)
        sold = [one for teller in tellers for one in teller.sold]
        pure = {member: n for teller in tellers for member, n in teller.members.items()}
        flagged = {order for teller in tellers for order in teller.flagged}
        found = Books(stage, sold, pure, flagged).compare()
        for teller in tellers:
            for text in teller.findings:
                found.note("not as told", text)
    return found
