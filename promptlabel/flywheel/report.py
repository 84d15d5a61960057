"""The flywheel report: figures in, one HTML file that needs nothing else out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from promptlabel.evals.intervals import Estimate
from promptlabel.flywheel.figures import ReportFigures
from promptlabel.flywheel.history import Unit

SECTIONS: Final = (
    "cycles",
    "comparison",
    "audit",
    "rules",
    "label_model",
    "calibration",
    "queue",
    "agreement",
    "evals",
    "gap",
    "training",
    "guards",
)
"""What a task's part of the page holds, in order: each a file of ``templates/sections/``."""


def report_html(figures: ReportFigures) -> str:
    """The report as one HTML page: no script, no request, light, dark and print from one style sheet."""
    return _environment().get_template("report.html.jinja").render(report=figures, sections=SECTIONS)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("promptlabel.flywheel"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent, points=points, between=between, lead=lead, count=count, usd=usd, figure=figure
    )
    return environment


def percent(share: float, digits: int = 1) -> str:
    """``87.3 %``."""
    return f"{100 * share:.{digits}f} %"


def figure(number: float, unit: Unit) -> str:
    """The number in its unit: ``87.3 %``, ``12.5 days``, ``$0.0013``, ``1 200``."""
    return _UNITS[unit](number)


def points(share: float) -> str:
    """A signed difference of shares in points: ``+2.1``."""
    return f"{100 * share:+.1f}".replace("-", "−")


def between(estimate: Estimate) -> str:
    """The ends of an interval of shares: ``83.0 to 90.7 %``."""
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"


def lead(estimate: Estimate) -> str:
    """A difference with its interval: ``+2.1 points (−0.3 to +4.5)``."""
    return f"{points(estimate.estimate)} points ({points(estimate.low)} to {points(estimate.high)})"


def count(number: float) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def usd(amount: float) -> str:
    """US dollars with as many digits as small sums need."""
    if amount >= 0.1 or amount == 0:
        return f"${amount:,.2f}"
    return "$" + np.format_float_positional(amount, precision=2, fractional=False, trim="-")


_UNITS: Final[Mapping[Unit, Callable[[float], str]]] = {
    "share": percent,
    "days": lambda number: f"{number:.1f} days",
    "seconds": lambda number: f"{number:.1f} s",
    "usd": usd,
    "count": count,
    "votes": lambda number: f"{number:.1f}",
}
