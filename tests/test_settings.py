"""`promptlabel.yaml`: read whole, or refused with every fault in it."""

from pathlib import Path

import pytest

from promptlabel.errors import InputError
from promptlabel.settings import load_project


def project(root: Path, text: str) -> Path:
    (root / "promptlabel.yaml").write_text(text)
    return root


def test_the_interface_example_is_read(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        """
store: .promptlabel/store.duckdb
models:
  default: {provider: local}
  judge:   {model: openai/gpt-5-mini, price: {input: 0.25, output: 2.0}}
  served:  {model: hosted_vllm/NAME, api_base: "http://127.0.0.1:8000/v1", concurrency: 64}
  offline: {provider: vllm, model: path/to/weights}
budget: {usd: 5.0, calls: 100000}
routing: {share: 0.05, audit: 0.2}
""",
    )
    settings = load_project(root).settings
    assert settings.models["judge"].price is not None
    assert settings.models["judge"].price.output == 2.0
    assert settings.models["served"].concurrency == 64
    assert settings.budget.usd == 5.0
    assert settings.models["default"].calibration == "batch"


def test_an_empty_file_is_a_project_with_the_local_model(tmp_path: Path) -> None:
    loaded = load_project(project(tmp_path, "# nothing yet\n"))
    assert loaded.settings.models["default"].provider == "local"
    assert loaded.rules == tmp_path / "rules"


def test_without_a_file_the_message_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="promptlabel init"):
        load_project(tmp_path)


def test_all_faults_come_at_once_with_line_and_key(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        "budgit: {usd: 1}\nmodels:\n  judge: {provider: litellm}\n  other: {model: x, concurrency: 0, prise: 1}\nrouting: {share: 2}\n",
    )
    with pytest.raises(InputError) as caught:
        load_project(root)
    found = {(fault.line, fault.key): fault.message for fault in caught.value.faults}
    assert found.keys() == {
        (1, "budgit"),
        (3, "models.judge"),
        (4, "models.other.concurrency"),
        (4, "models.other.prise"),
        (5, "routing.share"),
    }
    assert "did you mean 'budget'" in found[1, "budgit"]
    assert "did you mean 'price'" in found[4, "models.other.prise"]
    assert found[3, "models.judge"] == "provider litellm needs `model`"


@pytest.mark.parametrize("text", ["- a list\n", "just text\n", "models: \n", "models: {default: local}\n"])
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="should be"):
        load_project(project(tmp_path, text))


def test_a_suggestion_needs_a_probe(tmp_path: Path) -> None:
    (tmp_path / "promptlabel.yaml").write_text("review: {probes: 0.01, suggestions: 0.05}\n")
    with pytest.raises(InputError, match=r"`suggestions` \(0.05\) is more than `probes` \(0.01\)"):
        load_project(tmp_path)
    (tmp_path / "promptlabel.yaml").write_text(
        "review: {reviewers: 2, share: 0.1, probes: 0.05, suggestions: 0.02}\n"
    )
    assert load_project(tmp_path).settings.review.share == 0.1


def test_people_have_roles_one_or_several(tmp_path: Path) -> None:
    text = "people: {anna: [expert, maintainer], ben: reviewer, 'eve@example.com': expert}\n"
    settings = load_project(project(tmp_path, text)).settings
    assert settings.people == {
        "anna": ("expert", "maintainer"),
        "ben": ("reviewer",),
        "eve@example.com": ("expert",),
    }
    with pytest.raises(InputError, match=r"--invite: 'bne' is not among `people` \(did you mean 'ben'\?\)"):
        settings.person("bne", "--invite")
    rights = ("review", "write rules", "adjudicate", "invite", "see history")
    may = {
        name: [right for right in rights if settings.person(name, "").may(right)] for name in ("anna", "ben")
    }
    assert may == {"anna": list(rights), "ben": ["review"]}


def test_every_fault_of_people_is_told_where_it_is(tmp_path: Path) -> None:
    text = """\
people:
  anna: maintaner
  ben: [reviewer, exprt]
  cy:
  dee: []
  "  f": reviewer
  gil: {a: 1}
"""
    with pytest.raises(InputError) as caught:
        load_project(project(tmp_path, text))
    found = {(fault.line, fault.key): fault.message for fault in caught.value.faults}
    assert found[2, "people.anna"] == "there is no role 'maintaner' (did you mean 'maintainer'?)"
    assert found[3, "people.ben"] == "there is no role 'exprt' (did you mean 'expert'?)"
    for line, name in ((4, "cy"), (5, "dee"), (7, "gil")):
        assert found[line, f"people.{name}"].startswith("a person has a role, or a list of them: expert, ")
    assert "1 to 64 printable characters" in found[6, "people.  f"]


def test_a_trusted_header_needs_people(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`review\.trusted_header` needs `people`"):
        load_project(project(tmp_path, "review: {trusted_header: X-Forwarded-User}\n"))
