"""The flywheel report: figures in, one HTML file that needs nothing else out."""

from __future__ import annotations

import math
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from promptlabel.evals.intervals import Estimate
from promptlabel.flywheel.figures import ReportFigures
from promptlabel.review.agreement import Interval


def report_html(figures: ReportFigures) -> str:
    """The report as one HTML page: no script, no request, light, dark and print from one style sheet."""
    return _environment().get_template("report.html.jinja").render(report=figures)


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
        percent=percent,
        points=points,
        between=between,
        coefficient=coefficient,
        lead=lead,
        count=count,
        usd=usd,
    )
    return environment


def percent(share: float, digits: int = 1) -> str:
    """``87.3 %``."""
    return f"{100 * share:.{digits}f} %"


def points(share: float) -> str:
    """A signed difference of shares in points: ``+2.1``."""
    return f"{100 * share:+.1f}".replace("-", "−")


def between(estimate: Estimate | Interval) -> str:
    """The ends of an interval of shares: ``83.0 to 90.7 %``."""
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"


def coefficient(figure: Interval) -> str:
    """A coefficient with its interval: ``0.71 (0.60 to 0.80)``; what is undefined says so."""
    if math.isnan(figure.estimate):
        return "undefined"
    return f"{figure.estimate:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def lead(estimate: Estimate) -> str:
    """A difference with its interval: ``+2.1 points (−0.3 to +4.5)``."""
    return f"{points(estimate.estimate)} points ({points(estimate.low)} to {points(estimate.high)})"


def count(number: float) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def usd(amount: float) -> str:
    """US dollars with as many digits as small sums need."""
    return f"${amount:,.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.2g}"
