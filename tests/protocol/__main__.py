"""``python -m protocol``: what the explorer finds; with ``--stories`` how it comes to it."""

import sys
import time

from .explorer import explore
from .machine import Machine, Protection
from .scenarios import DAMAGES, SCENARIOS


def main():
    say = sys.stdout.write
    for bounded in (True, False):
        say(f"\nAs built, requests {'arrive in time' if bounded else 'may arrive at any time'}\n")
        for scenario in SCENARIOS:
            begin = time.monotonic()
            findings = explore(Machine(scenario, late_is_bounded=bounded))
            broken = "; ".join(found.value for found in findings.stories) or "keeps every promise"
            say(
                f"  {findings.worlds:>7,} worlds {time.monotonic() - begin:>5.1f} s"
                f"  {scenario.name}: {broken}\n"
            )
            _tell(findings)
    say("\nWithout a rule, or with a harmful one\n")
    for damage in DAMAGES:
        findings = explore(damage.machine(), until=damage.broken)
        found = damage.broken in findings.stories
        say(
            f"  {findings.worlds:>7,} worlds  {damage.title()} [{damage.scenario.name}]:"
            f" {damage.broken.value if found else 'NOTHING FOUND'}\n"
        )
        _tell(findings)
    say("\nThe protections\n")
    for protection in Protection:
        say(f"  {protection.name:<23} {protection.value}\n")


def _tell(findings):
    if "--stories" in sys.argv and findings.stories:
        sys.stdout.write("\n" + findings.tell() + "\n\n")


if __name__ == "__main__":
    main()
