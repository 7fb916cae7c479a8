"""Each protection is switched off in turn, and the drill must find the damage.

A drill that finds nothing is worth as much as what it is able to find.
"""

from bench.figures import Table

from . import directed
from .books import compare
from .stage import Stage

#: Seconds until what is broken is taken to stay so.
REST_LIMIT = 45
SHOWN = 2

#: By protection (``inside/without.py``), the stories that can't end well without it.
NEEDED_BY = {
    ("write_first",): ["asked again after the server died"],
    ("one_spends",): ["two clicks"],
    ("one_claim",): ["answer lost while another till burns"],
    ("lock",): ["twenty tills on one member"],
    ("judged_at_spend",): ["twenty tills on one member"],
    ("subtracted_until_shown",): ["reaction held back while a second till spends"],
    ("late_is_awaited", "audit"): ["points that land after a look", "burn that lands after a look"],
    ("late_is_awaited",): ["second till spends before the points land"],
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
    """:return: whether each damage was found, and none where nothing is off"""
    table = Table("Protections switched off, one after the other")
    every = sorted({story for stories in NEEDED_BY.values() for story in stories})
    with Stage(arguments.tills) as stage:
        for names, stories in {(): every, **NEEDED_BY}.items():
            if names:
                stage.begin_anew(names)
            tellers = directed.tell_all(stage, stories)
            stage.settle(limit=REST_LIMIT)
            found = compare(stage, [], {}, tellers)
            count = sum(map(len, found.by_column.values()))
            title = " + ".join(names) or "none"
            table.row(title, count, "found", **({"least": 1} if names else {"most": 0}))
            for column, texts in found.by_column.items():
                for text in texts[:SHOWN]:
                    table.note(f"  {column}: {text}")
    return not table.broken
