from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette

from promptlabel.pipeline.workspace import Workspace
from promptlabel.review.adjudication import decide
from promptlabel.settings import Review
from promptlabel.web.review import KEYS, review_app

SECRETS = (
    "secret_rule_name",
    "secret rationale",
    "secret reason",
    "secret answer",
    "0.98765",
    "secret-model",
)
NEXT, EVENTS = "/api/tasks/quality/next", "/api/tasks/quality/events"

Browser = Callable[[Starlette], Any]


@pytest.fixture
def app(workspace: Workspace, clock: Any) -> Starlette:
    return review_app(workspace.store, workspace.tasks, now=clock, reviewer="anna")


@pytest.fixture
def anna(app: Starlette, browser: Browser) -> Any:
    client = browser(app)
    assert client.get(f"/join/{app.state.token}").status_code == 303
    return client


@pytest.fixture
def ben(anna: Any, app: Starlette, browser: Browser) -> Any:
    client = browser(app)
    assert client.post("/join", json={"name": "ben", "token": app.state.token}).status_code == 200
    return client


def act(client: Any, action: str, trace_id: str | None = None, **more: Any) -> dict[str, Any]:
    event = {"event_id": str(uuid4()), "action": action, "trace_id": trace_id, **more}
    response = client.post(EVENTS, json={"events": [event]})
    assert response.status_code == 200, response.text
    (result,) = response.json()["results"]
    return result


def take(client: Any, count: int = 3, tab: str = "tab", have: tuple[str, ...] = ()) -> list[str]:
    response = client.post(NEXT, json={"tab": tab, "count": count, "have": list(have)})
    return [item["trace_id"] for item in response.json()["items"]]


# --- getting in


def test_without_the_printed_address_nothing_is_shown(app: Starlette, browser: Browser) -> None:
    stranger = browser(app)
    for path in ("/", "/tasks/quality", "/join/guess"):
        assert stranger.get(path).status_code == 403
    assert stranger.post(NEXT, json={"tab": "t", "count": 1}).status_code == 403
    assert stranger.post(EVENTS, json={"events": []}).status_code == 403
    assert stranger.post("/join", json={"name": "mallory", "token": "guess"}).status_code == 403
    assert stranger.post("/join", json={"name": "mallory"}).status_code == 403


def test_the_first_browser_is_let_in_at_once_and_the_next_is_asked_for_a_name(
    anna: Any, app: Starlette, browser: Browser
) -> None:
    assert "anna" in anna.get("/tasks/quality").text
    second = browser(app)
    page = second.get(f"/join/{app.state.token}")
    assert page.status_code == 200
    assert "Your name" in page.text
    assert second.get("/").status_code == 403
    assert second.post("/join", json={"name": " ben ", "token": app.state.token}).json() == {
        "reviewer": "ben"
    }
    assert "ben" in second.get("/tasks/quality").text


def test_a_reviewer_stays_signed_in_when_the_server_starts_again(
    anna: Any, workspace: Workspace, browser: Browser
) -> None:
    again = browser(review_app(workspace.store, workspace.tasks))
    again._client.cookies = anna._client.cookies
    assert again.get("/tasks/quality").status_code == 200


def test_the_page_shows_the_question_its_keys_and_every_task(anna: Any) -> None:
    page = anna.get("/tasks/tone").text
    for shown in ("quality", "tone", "How to judge tone.", "warm", "neutral", "cold"):
        assert shown in page
    for key in "123":
        assert f'data-key="{key}"' in page
    assert anna.get("/").headers["location"] == "/tasks/quality"
    assert anna.get("/tasks/nothing").status_code == 303
    assert anna.post("/api/tasks/nothing/next", json={"tab": "t", "count": 1}).status_code == 404


def test_label_keys_never_hide_another_keys_meaning() -> None:
    assert len(set(KEYS)) == len(KEYS)
    assert not set(KEYS) & set("cefhu ")


# --- blind until decided


def test_nothing_a_rule_said_is_in_any_response_before_the_reviewers_own_label(anna: Any) -> None:
    seen: list[httpx.Response] = [
        anna.get("/"),
        anna.get("/tasks/quality"),
        anna.get("/tasks/tone"),
        anna.post(NEXT, json={"tab": "tab", "count": 20}),
        anna.post(EVENTS, json={"events": [{"event_id": "s", "action": "skip", "trace_id": "chat-000"}]}),
        anna.post(EVENTS, json={"events": [{"event_id": "f", "action": "flag", "trace_id": "chat-001"}]}),
        anna.post(EVENTS, json={"events": [{"event_id": "u", "action": "undo", "undoes": "s"}]}),
        anna.post(
            EVENTS,
            json={"events": [{"event_id": "c", "action": "change", "trace_id": "chat-002", "label": "bad"}]},
        ),
        anna.post(
            EVENTS,
            json={"events": [{"event_id": "x", "action": "label", "trace_id": "chat-003", "label": "no"}]},
        ),
    ]
    for response in seen:
        text = response.text + str(response.headers)
        assert not [secret for secret in SECRETS if secret in text], response.request.url
    items = seen[3].json()["items"]
    assert {key for item in items for key in item} == {
        "trace_id",
        "timestamp",
        "category",
        "turns",
        "metadata",
    }


def test_after_the_label_the_rules_votes_and_the_posterior_appear_for_that_trace_alone(anna: Any) -> None:
    reveal = act(anna, "label", "chat-000", label="bad")["reveal"]
    assert reveal["trace_id"] == "chat-000"
    assert [vote["rule"] for vote in reveal["votes"]] == ["secret_rule_name"]
    assert reveal["votes"][0]["rationale"] == "secret rationale"
    assert reveal["posterior"]["good"] == pytest.approx(0.987654321)
    assert reveal["reason"] == "secret reason"


def test_a_repeated_label_of_one_reviewer_reveals_nothing_to_another(anna: Any, ben: Any) -> None:
    event = {"event_id": "mine", "action": "label", "trace_id": "chat-000", "label": "good"}
    assert anna.post(EVENTS, json={"events": [event]}).json()["results"][0]["reveal"]
    answer = ben.post(EVENTS, json={"events": [event]}).json()["results"][0]
    assert answer["reveal"] is None


def test_labels_are_blind_until_the_rules_were_seen(anna: Any, workspace: Workspace) -> None:
    act(anna, "skip", "chat-000")
    act(anna, "undo", "chat-000")
    act(anna, "label", "chat-000", label="good")
    act(anna, "change", "chat-000", label="bad")
    act(anna, "label", "chat-001", label="good")
    act(anna, "undo", "chat-001")
    act(anna, "label", "chat-001", label="bad")
    events = workspace.store.reviews("quality")
    blind = [(event.trace_id, event.label, event.blind) for event in events if event.label]
    assert blind == [
        ("chat-000", "good", True),
        ("chat-000", "bad", False),
        ("chat-001", "good", True),
        ("chat-001", "bad", False),
    ]


# --- decisions


def test_a_decision_is_stored_with_its_provenance(anna: Any, workspace: Workspace, clock: Any) -> None:
    assert act(anna, "label", "chat-000", label="good", seconds=3.5)["outcome"] == "stored"
    (event,) = workspace.store.reviews("quality")
    assert (event.reviewer, event.label, event.blind, event.seconds) == ("anna", "good", True, 3.5)
    assert (event.lane, event.probability, event.at) == ("audit", 0.25, clock.now)
    (decision,) = decide(workspace.store.reviews("quality"))
    assert (decision.label, decision.lane) == ("good", "audit")


def test_a_decision_sent_twice_or_made_twice_is_stored_once(anna: Any, workspace: Workspace) -> None:
    event = {"event_id": "one", "action": "label", "trace_id": "chat-000", "label": "good"}
    outcomes = [anna.post(EVENTS, json={"events": [event]}).json()["results"][0]["outcome"] for _ in range(3)]
    assert outcomes == ["stored", "repeated", "repeated"]
    assert act(anna, "label", "chat-000", label="bad")["outcome"] == "superfluous"
    assert [event.label for event in workspace.store.reviews("quality")] == ["good"]


def test_undo_gives_the_trace_back_and_can_be_sent_twice(anna: Any, workspace: Workspace) -> None:
    act(anna, "label", "chat-000", label="good")
    act(anna, "label", "chat-001", label="good")
    undo = {"event_id": "undo", "action": "undo"}
    for _ in range(2):
        anna.post(EVENTS, json={"events": [undo]})
    assert [decision.trace_id for decision in decide(workspace.store.reviews("quality"))] == ["chat-000"]
    assert act(anna, "undo")["item"]["trace_id"] == "chat-000"
    assert act(anna, "undo")["outcome"] == "superfluous"
    assert take(anna, 2) == ["chat-000", "chat-001"]


def test_a_wrong_label_or_trace_is_refused_without_holding_back_the_rest(
    anna: Any, workspace: Workspace
) -> None:
    events = [
        {"event_id": "1", "action": "label", "trace_id": "chat-000", "label": "excellent"},
        {"event_id": "2", "action": "label", "trace_id": "nothing", "label": "good"},
        {"event_id": "3", "action": "label", "trace_id": "chat-001", "label": "good"},
    ]
    results = anna.post(EVENTS, json={"events": events}).json()["results"]
    assert [result["outcome"] for result in results] == ["refused", "refused", "stored"]
    assert "excellent" in results[0]["reason"]
    assert len(workspace.store.reviews("quality")) == 1


MALFORMED = (
    b"",
    b"[]",
    b"{",
    b'{"events": []}',
    b'{"events": [{"event_id": "", "action": "label"}]}',
    b'{"events": [{"event_id": "1", "action": "erase"}]}',
    b'{"events": [{"event_id": "1", "action": "skip", "reviewer": "ben"}]}',
    b'{"events": [{"event_id": "1", "action": "skip", "blind": true}]}',
    b'{"events": [{"event_id": "1", "action": "skip", "seconds": NaN}]}',
    b'{"events": [{"event_id": "1", "action": "skip", "seconds": -1}]}',
    b"\xff\xfe",
)


def test_malformed_events_are_refused_whole(anna: Any, workspace: Workspace) -> None:
    for body in MALFORMED:
        refusal = anna.post(EVENTS, content=body, headers={"content-type": "application/json"})
        assert refusal.status_code == 422, body
        assert refusal.json()["error"]
    assert not workspace.store.reviews("quality")


def test_a_huge_request_is_refused(anna: Any) -> None:
    refusal = anna.post(EVENTS, content=b" " * 1_000_001, headers={"content-type": "application/json"})
    assert refusal.status_code == 413


def test_progress_counts_what_the_reviewer_did(anna: Any) -> None:
    act(anna, "label", "chat-000", label="good")
    act(anna, "skip", "chat-001")
    act(anna, "flag", "chat-002")
    progress = anna.post(NEXT, json={"tab": "tab", "count": 0}).json()["progress"]
    assert progress == {"labelled": 1, "skipped": 1, "flagged": 1, "left": 37}


# --- several reviewers and tabs


def test_two_reviewers_and_two_tabs_never_hold_the_same_trace(anna: Any, ben: Any) -> None:
    held = [*take(anna), *take(anna, tab="other"), *take(ben)]
    assert len(set(held)) == len(held) == 9


def test_a_lease_ends_after_ten_minutes(anna: Any, ben: Any, clock: Any) -> None:
    first = take(anna, 1)
    clock.now += timedelta(minutes=10)
    assert take(ben, 1) == first


def test_k_reviewers_label_each_trace(workspace: Workspace, browser: Browser) -> None:
    app = review_app(workspace.store, workspace.tasks, review=Review(reviewers=2))
    clients = [browser(app) for _ in range(3)]
    for client, name in zip(clients, ["anna", "ben", "cy"], strict=True):
        client.post("/join", json={"name": name, "token": app.state.token})
    for client in clients[:2]:
        assert take(client, 1) == ["chat-000"]
        act(client, "label", "chat-000", label="good")
    assert take(clients[2], 1) == ["chat-001"]


def test_what_was_decided_before_the_server_started_is_not_asked_again(
    anna: Any, workspace: Workspace, browser: Browser
) -> None:
    act(anna, "label", "chat-000", label="good")
    act(anna, "label", "chat-001", label="good")
    act(anna, "undo")
    app = review_app(workspace.store, workspace.tasks, reviewer="anna")
    again = browser(app)
    again.get(f"/join/{app.state.token}")
    assert take(again, 2) == ["chat-001", "chat-002"]


def test_only_the_pages_own_files_are_served(anna: Any) -> None:
    climbing = ("../review.py", "%2e%2e/review.py", "..%2freview.py", "/etc/passwd", "", "..\\review.py")
    assert {anna.get(f"/static/{path}").status_code for path in climbing} == {404}
    assert anna.get("/static/review.js").status_code == 200


# --- conflicts and invitations

DISPUTED = "/api/tasks/quality/disputed"


@pytest.fixture
def differing(workspace: Workspace, browser: Browser) -> tuple[Any, Any]:
    """A maintainer, and a reviewer who said bad where they said good."""
    app = review_app(workspace.store, workspace.tasks, reviewer="anna", review=Review(reviewers=2))
    maintainer, reviewer = browser(app), browser(app)
    maintainer.get(f"/join/{app.state.token}")
    reviewer.post("/join", json={"name": "ben", "token": app.state.token})
    act(maintainer, "label", "chat-000", label="good")
    act(reviewer, "label", "chat-000", label="bad")
    return maintainer, reviewer


def test_a_maintainer_sees_both_decisions_no_vote_and_settles(
    differing: tuple[Any, Any], workspace: Workspace
) -> None:
    maintainer, _ = differing
    assert "Conflicts (1)" in maintainer.get("/tasks/quality").text
    shown = [maintainer.get("/tasks/quality/conflicts"), maintainer.post(DISPUTED, json={"count": 5})]
    for response in shown:
        assert not [secret for secret in SECRETS if secret in response.text]
    (item,) = shown[1].json()["items"]
    assert (item["trace_id"], item["opinions"]) == ("chat-000", {"anna": "good", "ben": "bad"})
    assert act(maintainer, "adjudicate", "chat-000", label="bad")["reveal"]["label"] == "bad"
    (decision,) = decide(workspace.store.reviews("quality"))
    assert (decision.label, decision.adjudicator) == ("bad", "anna")


def test_reviewers_neither_see_nor_settle_conflicts(differing: tuple[Any, Any], workspace: Workspace) -> None:
    _, ben = differing
    assert "Conflicts" not in ben.get("/tasks/quality").text
    assert ben.get("/tasks/quality/conflicts").status_code == 403
    assert ben.post(DISPUTED, json={"count": 5}).status_code == 403
    event = {"event_id": "x", "action": "adjudicate", "trace_id": "chat-000", "label": "bad"}
    assert ben.post(EVENTS, json={"events": [event]}).status_code == 403
    assert decide(workspace.store.reviews("quality")) == ()


@pytest.mark.parametrize("action", ["suggest", "told"])
def test_what_the_server_alone_records_no_browser_can_send(anna: Any, action: str) -> None:
    event = {"event_id": "x", "action": action, "trace_id": "chat-000", "label": "bad"}
    assert anna.post(EVENTS, json={"events": [event]}).status_code == 422


def test_an_invitation_lets_one_browser_in_once_under_its_name(
    anna: Any, ben: Any, app: Starlette, browser: Browser
) -> None:
    address = anna.post("/invite", json={"name": "cy"}).json()["address"]
    assert ben.post("/invite", json={"name": "cy"}).status_code == 403
    assert anna.post("/invite", json={"name": "\u202e"}).status_code == 422
    path = address.removeprefix("http://127.0.0.1:8711")
    cy, late = browser(app), browser(app)
    assert cy.request("HEAD", path).status_code == 403
    assert cy.get(path).status_code == 303
    assert "cy" in cy.get("/tasks/quality").text
    assert late.get(path).status_code == 403


def test_where_everyone_is_invited_nobody_chooses_a_name(workspace: Workspace, browser: Browser) -> None:
    app = review_app(workspace.store, workspace.tasks, reviewer="anna", open_to_all=False)
    anna, mallory = browser(app), browser(app)
    assert anna.get(f"/join/{app.state.token}").status_code == 303
    assert mallory.get(f"/join/{app.state.token}").status_code == 403
    assert mallory.post("/join", json={"name": "ben", "token": app.state.token}).status_code == 403
    assert anna.post("/join", json={"name": "ben"}).status_code == 403
    assert app.state.token not in anna.get("/tasks/quality").text
