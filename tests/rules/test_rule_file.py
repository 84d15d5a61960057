"""One rule file: the same rule in either form, and every fault with the line of the file."""

from pathlib import Path

import pytest

from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.rule_file import read_rule, read_task
from promptlabel.rules.spec import TaskSpec

TASK = TaskSpec(task="quality", labels={"good": "", "bad": ""})
MODELS = ("default", "judge")

KEYS = """description: The user repeats the question.
model: judge
answers: {"yes": bad, "no": good, "unsure": abstain}
decode: logprobs
examples:
  - {input: "a", output: "b", vote: bad}
"""
PROMPT = """{{ trace.transcript }}
Does the user ask the same thing again?
"""
YAML = f"{KEYS}prompt: |\n" + "".join(f"  {line}\n" for line in PROMPT.splitlines())
JINJA = f"---\n{KEYS}---\n{PROMPT}"


def read(
    folder: Path, name: str, text: str, task: TaskSpec | None = TASK
) -> tuple[PromptRule | None, list[str]]:
    path = folder / name
    path.write_text(text)
    rule, faults = read_rule(path, task, MODELS)
    return rule, [str(fault).removeprefix(f"{folder}/") for fault in faults]


def test_both_forms_mean_the_same(tmp_path: Path) -> None:
    first, no_faults = read(tmp_path, "again.yaml", YAML)
    second, none_here = read(tmp_path, "too.jinja", JINJA)
    assert no_faults == none_here == []
    assert first is not None
    assert second is not None
    assert first.rule_hash == second.rule_hash
    assert first.spec.model_dump(exclude={"prompt"}) == second.spec.model_dump(exclude={"prompt"})
    assert (first.name, second.name) == ("again", "too")


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n" + YAML,
        "\n".join(["owner: me", "tags: [x, 1.10]", *YAML.splitlines()]),
        YAML.replace("description: The user repeats the question.\n", ""),
        YAML.replace(
            'answers: {"yes": bad, "no": good, "unsure": abstain}',
            "answers:\n  yes: bad\n  no: good\n  unsure: abstain",
        ),
    ],
)
def test_comments_and_order_of_keys_keep_the_hash(tmp_path: Path, text: str) -> None:
    first, _ = read(tmp_path, "a.yaml", YAML)
    second, faults = read(tmp_path, "b.yaml", text)
    assert faults == []
    assert first is not None
    assert second is not None
    assert first.rule_hash == second.rule_hash


def test_a_word_in_the_prompt_changes_the_hash(tmp_path: Path) -> None:
    first, _ = read(tmp_path, "a.yaml", YAML)
    second, _ = read(tmp_path, "b.yaml", YAML.replace("again", "twice"))
    assert first is not None
    assert second is not None
    assert first.rule_hash != second.rule_hash


def test_labels_that_look_like_numbers_or_booleans_are_names(tmp_path: Path) -> None:
    path = tmp_path / "stars" / "task.yaml"
    path.parent.mkdir()
    path.write_text("task: stars\nlabels: [1, 2.50, true]\nclass_balance: {1: 0.5, 2.50: 0.25, true: 0.25}\n")
    task, faults = read_task(path)
    assert faults == []
    assert task is not None
    assert list(task.labels) == ["1", "2.50", "true"]
    rule, found = read(
        tmp_path,
        "a.yaml",
        "prompt: x\nanswers: {few: 1, some: 2.50, yes: true}\nexamples: [{input: x, vote: 2.50}]\n",
        task,
    )
    assert found == []
    assert rule is not None
    assert rule.answers == {"few": "1", "some": "2.50", "yes": "true"}


def test_text_that_looks_like_a_number_is_text(tmp_path: Path) -> None:
    text = "prompt: 12\ndescription: 1.10\nexamples: [{input: 3, output: true, vote: bad, metadata: {n: 1.50}}]\nsamples: 2\n"
    rule, faults = read(tmp_path, "a.yaml", text)
    assert faults == []
    assert rule is not None
    (example,) = rule.spec.examples
    assert (rule.spec.prompt, rule.spec.description, example.input, example.output) == (
        "12",
        "1.10",
        "3",
        "true",
    )
    assert (example.metadata, rule.spec.samples) == ({"n": 1.5}, 2)


def test_a_jinja_file_without_front_matter_is_a_prompt(tmp_path: Path) -> None:
    rule, faults = read(tmp_path, "a.jinja", PROMPT)
    assert faults == []
    assert rule is not None
    assert rule.answers == {"good": "good", "bad": "bad"}


def test_every_fault_of_a_rule_comes_at_once_with_line_and_key(tmp_path: Path) -> None:
    _, faults = read(
        tmp_path,
        "a.yaml",
        """descriptio: x
models: [judge, jugde]
answers: {yes: goood, no: bad}
samples: 0
examples:
  - {input: a, vote: god}
  - {input: a, vote: abstain}
prompt: |
  fine
  {{ transcript }}
  {{ trace.outptu }}
""",
    )
    assert sorted(faults) == [
        "a.yaml:10:6: prompt: 'transcript' is not defined (did you mean 'trace.transcript'?)",
        "a.yaml:11:12: prompt: 'trace' has no 'outptu' (did you mean 'output'?)",
        "a.yaml:1:1: descriptio: unknown key (did you mean 'description'?)",
        "a.yaml:2:17: models[1]: no model is named 'jugde' in promptlabel.yaml (did you mean 'judge'?)",
        "a.yaml:3:11: answers.yes: 'goood' is not a label of the task (did you mean 'good'?)",
        "a.yaml:4:1: samples: should be greater than or equal to 1, not 0",
        "a.yaml:6:16: examples[0].vote: 'god' is not a label of the task (did you mean 'good'?)",
        "a.yaml:7:16: examples[1].vote: no answer of the rule stands for 'abstain'",
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.yaml", "prompt: 'a: b\n", "a.yaml:2:1: prompt: found unexpected end of stream"),
        ("a.yaml", "", "a.yaml: prompt: is missing"),
        (
            "a.yaml",
            "just words\n",
            "a.yaml:1:1: should be a mapping, not 'just words'",
        ),
        ("a.yaml", "prompt: x\nprompt: y\n", "a.yaml:2:1: prompt: key written twice (first on line 1)"),
        (
            "a.yaml",
            'prompt: "{{ foo }}"\n',
            "a.yaml:1:13: prompt: 'foo' is not defined (known: examples, guidelines, labels, text, trace)",
        ),
        (
            "a.yaml",
            "prompt: x\nmodel: gpt\n",
            "a.yaml:2:1: model: no model is named 'gpt' in promptlabel.yaml (known: default, judge)",
        ),
        ("a.jinja", "---\nmodel: judge\nx", "a.jinja:1: the front matter is not closed by a line of ---"),
        (
            "a.jinja",
            "---\nmodel: judge\nprompt: y\n---\nx\n",
            "a.jinja:3:1: prompt: the prompt is what follows the front matter",
        ),
        ("a.jinja", "---\n- judge\n---\nx\n", "a.jinja:2:1: the front matter must be a mapping"),
        ("a.jinja", "---\nmodle: judge\n---\nx\n", "a.jinja:2:1: modle: unknown key (did you mean 'model'?)"),
        (
            "a.jinja",
            "---\nmodel: judge\n---\n\n\n{% if %}\n",
            "a.jinja:6:1: prompt: Expected an expression, got 'end of statement block'",
        ),
        ("a.jinja", "---\nmodel: judge\n---\n", "a.jinja:2:1: prompt: is empty"),
        ("a.jinja", "a\n\x00", "a.jinja:2:1: character U+0000 is not allowed in text"),
    ],
)
def test_faults_have_the_line_of_the_file(tmp_path: Path, name: str, text: str, expected: str) -> None:
    rule, faults = read(tmp_path, name, text)
    assert rule is None
    assert faults == [expected]


def test_a_faulty_task_does_not_hide_the_faults_of_its_rules(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "a.yaml", "prompt: '{{ foo }}'\nanswers: {a: x, b: y}\n", None)
    assert len(faults) == 1


def test_a_task_must_be_named_like_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("labels: {good: a, bad: b}\ntask: other\nlabls: x\n")
    _, (unknown,) = read_task(path)
    assert (unknown.line, unknown.key) == (3, "labls")
    path.write_text("labels: {good: a, bad: b}\ntask: other\n")
    _, (named,) = read_task(path)
    assert named.line == 2
    assert "the folder is named" in named.message
