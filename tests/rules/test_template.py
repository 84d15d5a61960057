"""Templates: found faulty without being rendered, equal in meaning where they render equally."""

import pytest

from promptlabel.rules.template import PromptTemplate
from promptlabel.rules.template_checks import TRACE_FIELDS


def faults(source: str) -> list[tuple[int, str]]:
    return [(fault.line, fault.message) for fault in PromptTemplate(source).faults()]


@pytest.mark.parametrize(
    "source",
    [
        "plain text",
        "{{ trace.input }} {{ trace['output'] }} {{ labels|join(', ') }} {{ guidelines }}",
        "{% for m in trace.messages[-2:] %}{{ loop.index }} {{ m.role }}: {{ m['content'] }}{% endfor %}",
        "{% for e in examples if e.vote == 'good' %}{{ e.input }}{% else %}none{% endfor %}",
        "{% set last = trace.messages|last %}{{ last.content|truncate(80) }}",
        "{% for name, text in labels.items() %}{{ name }}{% endfor %}{{ trace.metadata.get('x', '') }}",
        "{% if trace.metadata.language is defined %}{{ trace.metadata.language }}{% endif %}",
        "{% with a = trace.input %}{{ a }}{% endwith %}{# a comment #}{% raw %}{{ b }}{% endraw %}",
    ],
)
def test_good_templates_have_no_faults(source: str) -> None:
    assert faults(source) == []


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("{{ x", 1, "end of print statement"),
        ("\n\nfine\n{% if %}", 4, "Expected an expression"),
        ("a\n{% for m in trace.messages %}", 2, "endfor"),
        ("\n{{ transcript }}", 2, "did you mean 'trace.transcript'"),
        ("{{ guideline }}", 1, "did you mean 'guidelines'"),
        ("{{ trace.inptu }}", 1, "did you mean 'input'"),
        ("{{ trace['transcrip'] }}", 1, "did you mean 'transcript'"),
        ("{{ trace.items() }}", 1, "'trace' has no 'items'"),
        ("{{ trace.signal('copied') }}", 1, "'trace' has no 'signal'"),
        ("{% for m in trace.messages|reverse %}\n{{ m.text }}{% endfor %}", 2, "a message has no 'text'"),
        ("{% for m in trace.messages %}{% endfor %}\n{{ m.role }}", 2, "'m' is not defined"),
        ("{{ trace.input|trime }}", 1, "did you mean 'trim'"),
        ("{% if trace.input is definde %}{% endif %}", 1, "did you mean 'defined'"),
        ("{% include 'other' %}", 1, "the task's folder has no 'other' to include (it would be _NAME.jinja"),
        ("{% import 'os' as o %}", 1, "'import' is not offered"),
        ("\n{% include trace.input %}", 2, "include takes the name of a file in quotation marks"),
        ("{% from '_m.jinja' import f %}", 1, "the task's folder has no '_m.jinja' to import"),
        ("{% set x %}{{ trace.input }}{% endset %}", 1, "'set ... endset' is not offered"),
        ("{{ range(3) }}", 1, "'range' is not defined"),
        ("{{ lipsum() }}", 1, "'lipsum' is not defined"),
        ("{{ self }}", 1, "'self'"),
        ("{{ namespace() }}", 1, "'namespace' is not defined"),
    ],
)
def test_faults_are_found_with_their_line(source: str, line: int, word: str) -> None:
    assert [(found, word in message) for found, message in faults(source)] == [(line, True)]


def test_all_faults_of_a_template_are_listed_in_order() -> None:
    assert [
        line for line, _ in faults("{{ trace.a }}\n{{ b }}\n{% block c %}{% endblock %}\n{{ trace.d }}")
    ] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("nothing", ()),
        ("{{ trace.output }}{{ trace.input }}{{ trace.input }}", ("input", "output")),
        ("{{ trace|tojson }}", TRACE_FIELDS),
        ("{{ trace.input }}{{ trace[guidelines] }}", TRACE_FIELDS),
        ("{% set t = trace %}{{ t.input }}", TRACE_FIELDS),
    ],
)
def test_the_fields_it_reads_are_known(source: str, fields: tuple[str, ...]) -> None:
    assert PromptTemplate(source).trace_fields == fields


@pytest.mark.parametrize(
    "same",
    ["a b {{trace.input}}", "a {# why #}b {{ trace.input }}", "\n\na b {{ trace.input   }}\n"],
)
def test_comments_and_spacing_are_no_part_of_the_meaning(same: str) -> None:
    assert PromptTemplate(same).meaning == PromptTemplate("a b {{ trace.input }}").meaning
    assert PromptTemplate(same).render({"trace": {"input": "x"}}) == "a b x"


def test_a_word_is_part_of_the_meaning() -> None:
    assert PromptTemplate("a {{ trace.input }}").meaning != PromptTemplate("b {{ trace.input }}").meaning
    assert PromptTemplate("a {{ trace.input }}").meaning != PromptTemplate("a {{ trace.output }}").meaning


def test_lines_that_hold_only_a_statement_leave_no_blank_line() -> None:
    template = PromptTemplate("Talk:\n{% for m in trace.messages %}\n- {{ m }}\n{% endfor %}\nEnd")
    assert template.render({"trace": {"messages": ["x", "y"]}}) == "Talk:\n- x\n- y\nEnd"
