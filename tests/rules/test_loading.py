"""The rules folder as a whole: all tasks, or all faults, quickly."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from promptlabel.errors import InputError
from promptlabel.rules.loading import load_checked, load_tasks
from promptlabel.settings import Project

Write = Callable[..., Project]
RULE = "prompt: |\n  {{ trace.transcript }}\n  Good?\n"
HEURISTICS = "from promptlabel import heuristic\n@heuristic\ndef short(trace):\n    return None\n"


def faults(project: Project, names: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_tasks(project, names)
    return [str(fault).replace(f"{project.root}/", "") for fault in caught.value.faults]


def test_a_task_has_its_rules_in_order_of_name(project: Write) -> None:
    loaded = project(
        {
            "b.yaml": RULE,
            "a.jinja": "Good?",
            "z.yaml": RULE + "active: false\n",
            "heuristics.py": HEURISTICS,
            "README.md": "x",
            ".a.yaml.swp": "x",
        }
    )
    (task,) = load_tasks(loaded)
    assert (task.name, task.labels) == ("quality", ("good", "bad"))
    assert [rule.name for rule in task.prompts] == ["a", "b"]
    assert [rule.name for rule in task.heuristics] == ["short"]
    assert [rule.name for rule in task.rules] == ["a", "b", "short"]


def test_a_prompt_rule_is_registered_once_for_each_model(project: Write) -> None:
    loaded = project({"panel.yaml": RULE + "models: [judge, default]\n", "heuristics.py": HEURISTICS})
    (task,) = load_tasks(loaded)
    models = loaded.settings.models
    entries = task.registered(models)
    assert [(entry.task, entry.rule, entry.kind, entry.model, entry.model_hash) for entry in entries] == [
        ("quality", "panel", "prompt", "judge", models["judge"].identity),
        ("quality", "panel", "prompt", "default", models["default"].identity),
        ("quality", "short", "heuristic", "code", ""),
    ]
    assert entries[0].rule_hash == entries[1].rule_hash == task.prompts[0].rule_hash


def test_tasks_may_be_chosen_by_name(project: Write) -> None:
    loaded = project(
        {"rules/other/task.yaml": "task: other\nlabels: [x, y]\n", "rules/broken/task.yaml": "task: ["}
    )
    assert [task.name for task in load_tasks(loaded, ["quality", "other"])] == ["other", "quality"]
    assert faults(loaded, ("othr",)) == ["rules: no task is named 'othr' (did you mean 'other'?)"]


def test_all_faults_of_all_tasks_come_at_once(project: Write) -> None:
    loaded = project(
        {
            "a.yaml": RULE,
            "a.jinja": "x",
            "short.yaml": "prompt: '{{ foo }}'\n",
            "old.yml": RULE,
            "heuristics.py": HEURISTICS + "@heuristic\ndef a(trace):\n    return 'goood'\n",
            "rules/other/task.yaml": "task: other\nlabels: [x]\n",
            "rules/other/b.yaml": "promt: x\n",
            "rules/empty/c.yaml": RULE,
            "rules/empty/heuristics.py": "1 / 0\n",
        }
    )
    assert sorted(faults(loaded)) == [
        "rules/empty/heuristics.py:1: cannot be imported: ZeroDivisionError: division by zero",
        "rules/empty/task.yaml: is missing: it names the task and its labels",
        "rules/other/b.yaml:1:1: prompt: is missing",
        "rules/other/b.yaml:1:1: promt: unknown key (did you mean 'prompt'?)",
        "rules/other/task.yaml:2:1: labels: needs 2 to 127 labels, has 1",
        "rules/quality/a.yaml: a rule named 'a' is in a.jinja already",
        "rules/quality/heuristics.py: a rule named 'a' is in a.jinja already",
        "rules/quality/heuristics.py: a rule named 'short' is in short.yaml already",
        "rules/quality/heuristics.py:7: a: 'goood' is not a label (did you mean 'good'?)",
        "rules/quality/old.yml: would be overlooked: rename it to old.yaml",
        "rules/quality/short.yaml:1:13: prompt: 'foo' is not defined (known: examples, guidelines, labels, text, trace)",
    ]


def test_a_project_without_tasks_says_what_to_write(project: Write, tmp_path: Path) -> None:
    loaded = project({})
    (tmp_path / "rules/quality/task.yaml").unlink()
    (tmp_path / "rules/quality").rmdir()
    assert "holds no task: write" in faults(loaded)[0]


def test_five_hundred_rules_load_quickly(project: Write) -> None:
    keys = 'description: {n}\nanswers: {{"yes": bad, "no": good}}\nexamples: [{{input: a, output: b, vote: bad}}]\n'
    files = {f"r{n}.yaml": keys.format(n=n) + RULE.replace("Good", f"Good {n}") for n in range(250)}
    files |= {
        f"j{n}.jinja": f"---\n{keys.format(n=n)}---\n{{{{ trace.transcript }}}}\nGood {n}?\n"
        for n in range(250)
    }
    loaded = project(files)
    started = time.process_time()
    (task,) = load_tasks(loaded)
    assert time.process_time() - started < 2.0, "half a second on an idle core"
    assert len({rule.rule_hash for rule in task.prompts}) == 250, (
        "the same rule in YAML and in Jinja is the same"
    )


def test_loading_rules_imports_nothing_heavy() -> None:
    code = "import sys, promptlabel.rules.loading, promptlabel.votes.parsing, promptlabel.votes.analysis; print(' '.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"litellm", "instructor", "torch", "pandas", "snorkel", "sklearn", "scipy", "aiohttp", "duckdb"}
    assert heavy.isdisjoint(name.partition(".")[0] for name in loaded)


def test_faults_of_the_configuration_come_with_those_of_the_rules(tmp_path):
    (tmp_path / "promptlabel.yaml").write_text("modles: {}\n")
    folder = tmp_path / "rules" / "tone"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text("task: tone\nlabels: {kind: '', rude: ''}\n")
    (folder / "asks.yaml").write_text("prompt: Kind?\nmodel: judge\nanswers: {yes: knid}\n")
    with pytest.raises(InputError) as caught:
        load_checked(tmp_path)
    assert {Path(fault.file).name for fault in caught.value.faults} == {"promptlabel.yaml", "asks.yaml"}
    assert not any("no model" in fault.message for fault in caught.value.faults)
