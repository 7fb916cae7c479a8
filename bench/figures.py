"""Figures, and the bounds that they must keep."""

import statistics


def percentile(values, share):
    """The smallest of ``values`` that a ``share`` of them (0 to 1) does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def median(values):
    return statistics.median(values)


def half_of_them(values, digits):
    """Between which figures half of the values lie, in words: how far a median can be trusted."""
    low, high = percentile(values, 0.25), percentile(values, 0.75)
    return f"half of the pairs between {low:.{digits}f} and {high:.{digits}f}"


class Table:
    """Rows of a name, a figure and a bound, printed as they come.

    :param title: what was measured, and with what
    """

    WIDTH = 46

    def __init__(self, title):
        self.broken = []
        print(f"\n{title}")

    def row(self, name, figure, unit="", *, most=None, least=None):
        """Print a figure; ``most`` and ``least`` are bounds that it must keep, both inclusive."""
        text = f"  {name:<{self.WIDTH}} {_number(figure):>9} {unit:<10}"
        bounds = []
        if most is not None:
            bounds.append((f"at most {_number(most)}", figure <= most))
        if least is not None:
            bounds.append((f"at least {_number(least)}", figure >= least))
        for words, kept in bounds:
            text += f"  {'ok' if kept else 'BROKEN'}, {words}"
            if not kept:
                self.broken.append(name)
        print(text.rstrip())

    def note(self, text):
        print(f"  {text}")


def _number(value):
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
