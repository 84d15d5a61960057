"""The review page for several labels and for pairs, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from web.test_page import Stored, opened, served

from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Trace
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.web.messages import item_message

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")

TOPICS = TaskSpec(task="topics", kind="several", labels={"refund": "", "shipping": "", "bug": ""})
BETTER = TaskSpec(task="better", kind="pairwise", labels={"first": "", "second": "", "tie": ""})
OUTPUTS = ("the first answer", "the second answer")
TRACES = [Trace(f"t{number:02}", input=f"question {number}", outputs=OUTPUTS) for number in range(12)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any, make_workspace: Any) -> Iterator[tuple[Workspace, str]]:
    specs = (TOPICS, BETTER)
    labels = {spec.task: dict(spec.labels) for spec in specs}
    made = make_workspace(tmp_path_factory.mktemp("kinds"), TRACES, labels)
    workspace = Workspace(made.project, made.store, tuple(Task(spec, (), ()) for spec in specs))
    with workspace.store, served(workspace) as invitation:
        yield workspace, invitation


@pytest.fixture(scope="module")
def signed_in(site: tuple[Workspace, str], chromium: Any) -> Iterator[Any]:
    context = chromium.new_context()
    context.set_default_timeout(10_000)
    context.new_page().goto(site[1])
    yield context
    context.close()


def stored(site: tuple[Workspace, str], task: str) -> Stored:
    workspace, invitation = site
    return Stored(workspace.store, task, invitation)


@pytest.mark.parametrize("turned", [False, True])
def test_each_reviewer_sees_pairs_in_an_order_of_their_own(turned):
    seen = {}
    for reviewer in (f"person {number}" for number in range(40)):
        message = item_message(TRACES[0], BETTER, reviewer)
        seen[tuple(message["sides"])] = message["outputs"]
    order = ("second", "first") if turned else ("first", "second")
    assert seen[order] == list(OUTPUTS[::-1] if turned else OUTPUTS)


def test_the_order_of_a_pair_stays_and_its_turns_do_not_tell_it():
    message = item_message(TRACES[0], BETTER, "anna")
    assert message == item_message(TRACES[0], BETTER, "anna")
    assert [turn["content"] for turn in message["turns"]] == ["question 0"]
    assert "sides" not in item_message(Trace("x", input="no pair"), BETTER, "anna")


@pytest.mark.browser
def test_keys_toggle_labels_and_enter_saves_the_set(site, signed_in):
    review = stored(site, "topics")
    page = opened(signed_in, review.address)
    for key in ("3", "1", "2", "2", "Enter"):
        page.keyboard.press(key)
    (event,) = review.events(1, page)
    assert event.label == "refund, bug"
    assert page.locator("button.label[aria-pressed=true]").count() == 0
    page.keyboard.press("Enter")
    assert review.events(2, page)[1].label == "none"
    page.wait_for_selector("#reveal:not([hidden])")
    page.get_by_role("button", name="And shipping").click()
    changed = review.events(3, page)[2]
    assert (changed.action, changed.label, changed.blind) == ("change", "shipping", False)


@pytest.mark.browser
def test_a_pair_is_decided_by_its_side_and_stored_by_its_label(site, signed_in):
    review = stored(site, "better")
    page = opened(signed_in, review.address)
    choices = []
    for count in range(1, 7):
        outputs = page.locator("#pair .content").all_inner_texts()
        assert sorted(outputs) == sorted(OUTPUTS)
        page.keyboard.press("1")
        label = review.events(count, page)[-1].label
        choices.append(label)
        assert outputs[0] == dict(zip(("first", "second"), OUTPUTS, strict=True))[label]
        page.wait_for_function(
            "document.querySelector('#reveal-summary').textContent.includes('You said left')"
        )
    assert set(choices) == {"first", "second"}
    page.keyboard.press("3")
    assert review.events(7, page)[-1].label == "tie"
