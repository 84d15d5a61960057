"""Includes and macros: from the task's folder alone, part of the rule's meaning, bounded like loops."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptlabel.errors import InputError
from promptlabel.records import Trace
from promptlabel.rules.loading import load_tasks
from promptlabel.rules.template import PromptTemplate

PARTIALS = (
    ("_again.jinja", "{% include '_again.jinja' %}"),
    ("_tone.jinja", "Be {{ labels|join(' or ') }}."),
    (
        "_turns.jinja",
        """{% macro line(m) %}{{ m.role }}> {{ m.content }}{% endmacro %}
{% macro turns(list) %}{% for m in list %}{{ line(m) }};{% endfor %}{% endmacro %}""",
    ),
)
VALUES = {"labels": {"a": "", "b": ""}, "trace": {"messages": [{"role": "u", "content": "hi"}]}}


def template(source: str) -> PromptTemplate:
    return PromptTemplate(source, PARTIALS)


def test_a_file_is_included_and_a_macro_imported():
    source = (
        "{% from '_turns.jinja' import turns as all %}{% include '_tone.jinja' %} {{ all(trace.messages) }}"
    )
    assert template(source).faults() == []
    assert template(source).render(VALUES) == "Be a or b. u> hi;"
    assert template(source).trace_fields == ("messages",)


def test_a_macro_may_stand_in_the_prompt_itself():
    assert template("{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f(1) }}{{ f(2) }}").render(VALUES) == "[1][2]"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% include '_tome.jinja' %}", "did you mean '_tone.jinja'"),
        ("{% include '../secret.jinja' %}", "the task's folder has no '../secret.jinja'"),
        ("{% include '/etc/passwd' %}", "the task's folder has no '/etc/passwd'"),
        ("{% include ['_tone.jinja'] %}", "the name of a file in quotation marks"),
        ("{% from '_turns.jinja' import turn %}", "no macro is named 'turn' (did you mean 'turns'?)"),
        ("{% import '_turns.jinja' as t %}", "'import' is not offered"),
        ("{% include '_again.jinja' %}", "'_again.jinja' includes itself"),
    ],
)
def test_what_cannot_be_included_is_a_fault(source: str, message: str):
    (fault,) = template(f"first\n{source}").faults()
    assert (fault.line, message in fault.message) == (2, True)


@pytest.mark.parametrize(
    "source",
    [
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% macro f() %}"
        + "x" * 9000
        + "{% endmacro %}{% for i in '"
        + "a" * 9000
        + "' %}{% set y = f() %}{% endfor %}",
        "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}{% set x = 'ab' %}"
        + "{% set x = f(x) %}" * 60
        + "{{ x }}",
    ],
)
def test_a_macro_that_never_ends_is_stopped(source: str):
    with pytest.raises(Exception, match=r"times|characters|recursion|longer"):
        template(source).render(VALUES)


def write(folder: Path, partial: str) -> str:
    folder = folder / "rules" / "quality"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_tone.jinja").write_text(partial)
    (folder / "r.jinja").write_text("{% include '_tone.jinja' %} {{ trace.input }}")
    return "r"


def test_what_is_included_is_part_of_the_rules_meaning(project, tmp_path):
    hashes = []
    for partial in ("Be fair.", "{# a note #}Be fair.", "Be strict."):
        write(tmp_path, partial)
        (task,) = load_tasks(project({}))
        (rule,) = task.prompts
        assert rule.question(Trace("t", input="x"), decode="json", few_shot=False).prompt.startswith("Be ")
        hashes.append(rule.rule_hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_file_that_is_missing_is_named_with_its_line(project):
    with pytest.raises(InputError) as caught:
        load_tasks(project({"r.yaml": "prompt: |\n  Judge:\n  {% include '_tone.jinja' %}\n"}))
    (fault,) = caught.value.faults
    assert (fault.line, fault.key) == (3, "prompt")


def test_files_included_over_and_over_are_refused():
    big = PromptTemplate("{% include '_big.jinja' %}" * 1500, (("_big.jinja", "x" * 1000),))
    assert "includes more than 200,000 characters" in big.faults()[0].message
