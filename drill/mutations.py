"""Each protection is switched off in turn, and the drill must find the damage.

A drill that finds nothing is worth as much as what it is able to find.
"""

import random

from bench.figures import Table

from . import directed
from .books import compare
from .stage import LATE_AFTER

#: Seconds until what is broken is taken to stay so.
REST_LIMIT = LATE_AFTER + 20
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
    ("dead_are_doubted",): ["killed before points are asked for"],
    ("reaction_first",): ["reactor that is switched off"],
    ("return_is_awaited",): ["points back that land after a look"],
    ("return_is_looked_up",): ["points back whose answer is lost"],
    ("stop_at_failure",): ["second of three unknown"],
    ("carried_is_settled",): ["two clicks"],
    ("manager_is_told",): ["payment longer than its lease"],
}


def proven():
    """The names of all protections that are switched off here."""
    return {name for names in NEEDED_BY for name in names}


def check_mutations(stage, wanted, seed):
    """
    :param wanted: list of names; or of one number, how many the seed draws; or empty: all of them,
        and first none
    :return: whether each damage was found, and none where nothing is off
    """
    table = Table("Protections switched off, one after the other")
    if not wanted:
        every = {story for stories in NEEDED_BY.values() for story in stories}
        chosen = {(): sorted(every), **NEEDED_BY}
    elif wanted[0].isdigit():
        count = min(int(wanted[0]), len(NEEDED_BY))
        chosen = dict(random.Random(seed).sample(list(NEEDED_BY.items()), count))
    else:
        chosen = {names: stories for names, stories in NEEDED_BY.items() if set(names) <= {*wanted}}
    for names, stories in chosen.items():
        stage.begin_anew(names)
        damage = _damage(stage, stories)
        bounds = {"least": 1} if names else {"most": 0}
        table.row(" + ".join(names) or "none", len(damage), "found", **bounds)
        for text in damage[:SHOWN]:
            table.note(f"  {text}")
    return not table.broken


def _damage(stage, stories):
    """What is found when these stories are told; :return: list of text"""
    tellers = directed.tell_all(stage, stories)
    damage = [f"not as told: {text}" for teller in tellers for text in teller.findings]
    if not damage:
        stage.settle(limit=REST_LIMIT)
        found = compare(stage, [], {}, tellers)
        damage = [f"{kind}: {text}" for kind, texts in found.by_column.items() for text in texts]
    return damage
