"""The expressions of a rule file: `when` over a trace, `signal` over what was observed of people."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from promptlabel.rules.template import Condition
from promptlabel.rules.template_checks import TemplateFault

WHEN_VARIABLES: Final = ("trace", "text", "signals")


@lru_cache(maxsize=1024)
def signal_condition(source: str) -> Condition:
    """A condition over signals, each a variable; it does not hold of a trace where a signal it needs was not observed."""
    return Condition(source)


def when_faults(source: str) -> list[TemplateFault]:
    """What is wrong with a `when`."""
    return Condition(source).faults(WHEN_VARIABLES)


def signal_faults(source: str) -> list[TemplateFault]:
    """What is wrong with a condition on signals: any name may be a signal, so only its form is judged."""
    condition = signal_condition(source)
    faults = condition.faults(known=())
    unknown = [fault for fault in faults if "is not defined" not in fault.message]
    if not faults:
        return [TemplateFault(1, "names no signal, such as in: copied >= 1")]
    return unknown
