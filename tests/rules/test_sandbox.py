"""No template escapes, changes a trace, or makes gigabytes of a line."""

import copy
import re

import pytest

from promptlabel.rules.template import PromptTemplate

VALUES = {
    "trace": {
        "trace_id": "t",
        "input": "text " * 1000,
        "output": "",
        "messages": [{"role": "user", "content": "hi"}],
        "metadata": {"a": [1]},
    },
    "labels": {"good": "g", "bad": "b"},
    "guidelines": "be fair",
    "examples": [],
}

WALKS = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ trace.__class__ }}",
    "{{ trace['__class__'].__base__ }}",
    "{{ trace.__init__.__globals__ }}",
    "{{ trace.get.__self__ }}",
    "{{ trace.get.__func__ }}",
    "{{ labels.items.__globals__ }}",
    "{{ ().__class__.__bases__[0] }}",
    "{{ [].__class__ }}",
    "{{ (1).__class__ }}",
    "{{ {}.__class__.__base__.__subclasses__() }}",
    "{{ true.__class__ }}",
    "{{ none.__class__ }}",
    "{{ [trace]|map(attribute='__class__')|list }}",
    "{{ ['x']|map('attr', '__class__')|list }}",
    "{{ [trace]|groupby('__class__') }}",
    "{{ [trace]|sort(attribute='__class__') }}",
    "{{ [trace]|selectattr('__class__')|list }}",
    "{{ [trace]|sum(attribute='__class__') }}",
    "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
    "{% for x in [1] %}{{ loop._iterator.gi_frame }}{% endfor %}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ dict.__base__ }}",
    "{{ config }}",
    "{{ request.application }}",
    "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ environment }}",
    "{{ context }}",
    "{{ caller.__globals__ }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "{{ ('{0.__class__}'|string).format(1) }}",
    "{{ '{0.__class__}'['format'](1) }}",
    "{{ ['{0.__class__}']|map('format', 1)|list }}",
    "{% set f = '{0.__class__}'.format %}{{ f(1) }}",
    "{{ '%s'|format(trace.__class__) }}",
    "{{ '%(a)s' % {'a': 1} }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
    "{% from 'os' import system %}",
    "{% extends '/etc/passwd' %}",
    "{{ trace.input.encode() }}",
    "{{ trace.input.translate({}) }}",
    "{{ (1).to_bytes(9, 'big') }}",
    "{{ (1).from_bytes }}",
    "{{ (1.5).as_integer_ratio() }}",
    "{{ trace.messages.__len__() }}",
    "{{ trace.messages.__reduce__() }}",
    "{{ trace.messages.__getitem__(0) }}",
    "{{ trace|attr('get') }}",
    "{{ ''|xmlattr }}",
    "{{ 'x'|urlize }}",
    "{{ [1, 2]|random }}",
    "{{ trace|pprint }}",
]

CHANGES = [
    "{{ trace.clear() }}",
    "{{ trace.update({'input': 'x'}) }}",
    "{{ trace.pop('input') }}",
    "{{ trace.popitem() }}",
    "{{ trace.setdefault('x', 1) }}",
    "{{ trace.metadata.clear() }}",
    "{{ trace.metadata.a.append(2) }}",
    "{{ trace.messages.append(1) }}",
    "{{ trace.messages.insert(0, 1) }}",
    "{{ trace.messages.extend([1]) }}",
    "{{ trace.messages.pop() }}",
    "{{ trace.messages.remove(1) }}",
    "{{ trace.messages.reverse() }}",
    "{{ trace.messages.sort() }}",
    "{{ trace.messages.clear() }}",
    "{{ trace.messages[0].update({'role': 'x'}) }}",
    "{{ trace.messages[0]['update']({'role': 'x'}) }}",
    "{{ labels.clear() }}",
    "{{ labels.__setitem__('x', 1) }}",
    "{{ labels.__delitem__('good') }}",
    "{{ examples.append(1) }}",
    "{% set trace.input = 'x' %}",
    "{% do trace.clear() %}",
]

GROWTH = [
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * 'a' }}",
    "{{ [1] * 1000000000 }}",
    "{{ (1, 2) * 1000000000 }}",
    "{{ 9 ** 999999999 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%.1000000000f' % 1 }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.rjust(1000000000) }}",
    "{{ 'a'.center(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ '\\t'.expandtabs(1000000000) }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ 'a\\nb'|indent(1000000000) }}",
    "{{ 'a'|wordwrap(1, wrapstring=trace.input) }}",
    "{{ trace.input.replace('', trace.input) }}",
    "{{ trace.input|replace('', trace.input) }}",
    "{{ trace.input.join(trace.input) }}",
    "{{ trace.input|list|join(trace.input) }}",
    "{{ trace|tojson(indent=1000000000) }}",
    "{{ 1.5|round(1000000000) }}",
    "{{ [1]|batch(1000000000, 1)|list }}",
    "{{ [1]|slice(1000000000)|list }}",
    "{% set a = trace.input %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "{% set a = trace.input %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "{% set a = [1] %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "{% for a in trace.input %}{% for b in trace.input %}{{ trace.input }}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{{ lipsum(n=1000000) }}",
    "{% for a in trace.input %}{% for b in trace.input %}{% endfor %}{% endfor %}",
    "{% for a in trace.input %}{% for b in trace.input %}{% if 0 %}{{ b }}{% endif %}{% endfor %}{% endfor %}",
    "{% for m in trace.messages recursive %}{% if loop.depth < 30 %}{{ loop(trace.input) }}{% endif %}{% endfor %}",
    "{% set x %}{{ trace.input }}{% endset %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40,
    "{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{{ loop([1]) }}{% endfor %}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{% if 1 %}" * 500,
]


ENDLESS = [
    "{% for a in trace.input %}{% set x = trace.input|upper|lower|title|reverse %}{% endfor %}" * 50,
    "{% for a in trace.input %}{{ (trace.input|replace('t', '<!---->'))|striptags }}{% endfor %}",
    "{{ trace.input|list|map('list')|sum(start=[]) }}",
    "{{ trace.messages|sum(attribute='content', start=[]) }}",
    "{% for a in trace.input %}{% for b in trace.input %}{{ a in trace.input }}{% endfor %}{% endfor %}",
    "{% for a in trace.input %}{{ trace.input.split(a)|join(trace.input) }}{% endfor %}",
    "{% for a in trace.input %}{% if trace.input.count('t' ~ a) %}{{ trace.input }}{% endif %}{% endfor %}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(n) %}{% for a in trace.input %}{{ f(n) }}{% endfor %}{% endmacro %}{{ f(1) }}",
    "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}{% set x = 'ab' %}" + "{% set x = f(x) %}" * 60 + "{{ x }}",
    "{{ " + "trace.input ~ " * 3000 + "'' }}",
    "{{ trace.input }}" * 200_000,
]


PAYLOADS = [*WALKS, *CHANGES, *GROWTH, *ENDLESS]


def rendered_unless_refused(source: str) -> str:
    template = PromptTemplate(source)
    if template.faults():
        return ""
    try:
        return template.render(VALUES)
    except Exception:  # noqa: BLE001  whatever refuses it: the rule makes a RenderError of all
        return ""


@pytest.mark.timeout(30)  # five seconds of an idle machine; what bounds it is processor time
@pytest.mark.parametrize("source", PAYLOADS, ids=range(len(PAYLOADS)))
def test_payloads_are_refused_or_see_nothing(source: str) -> None:
    before = copy.deepcopy(VALUES)
    text = rendered_unless_refused(source)
    assert re.search("class|object|function|module|method|<", text.replace("Undefined", "")) is None
    assert len(text) < 10_000
    assert before == VALUES


def test_there_are_a_hundred_payloads() -> None:
    assert len(set(PAYLOADS)) >= 100


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ trace.metadata.get('a') }}", "[1]"),
        ("{{ trace.metadata.items }}", "a key"),
        ("{{ labels.keys()|list }}", "['good', 'bad']"),
        ("{{ 'A b'.lower().split()|join('-') }}", "a-b"),
        ("{{ 3 * 4 }} {{ 7 % 4 }} {{ 'a' + 'b' }} {{ 'a' ~ 1 }}", "12 3 ab a1"),
        ("{{ 'a<b'|replace('<', '>') }} {{ {'x': '<é>'}|tojson }}", 'a>b {"x": "<é>"}'),
        ("{{ trace.input|truncate(9) }}", "text..."),
        ("{% for m in trace.messages %}{{ loop.index }}{{ loop.last }}{% endfor %}", "1True"),
        ("{{ [3, 1, 2]|sort|join(',') }}", "1,2,3"),
    ],
)
def test_ordinary_work_is_possible(source: str, text: str) -> None:
    values = copy.deepcopy(VALUES)
    if "metadata.items" in source:
        values["trace"]["metadata"]["items"] = "a key"  # type: ignore[index]
    assert PromptTemplate(source).render(values) == text


def test_a_template_that_hardly_ends_is_stopped_with_the_reason() -> None:
    loops = "{% for a in trace.input %}{% for b in trace.input %}{% endfor %}{% endfor %}"
    with pytest.raises(Exception, match="loops more than 100,000 times"):
        PromptTemplate(loops).render(VALUES)


def test_loops_keep_their_variables() -> None:
    source = "{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}/{{ loop.length }}{{ loop.revindex }} {% else %}-{% endfor %}"
    assert PromptTemplate(source).render(VALUES) == "1/22 2/21 "


def test_undefined_values_are_errors_not_blanks() -> None:
    with pytest.raises(Exception, match="has no attribute 'missing'"):
        PromptTemplate("{{ trace.metadata.missing }}").render(VALUES)
