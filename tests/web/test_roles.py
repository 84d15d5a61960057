"""What each role may do at the pages, route by route, and what the history says of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette

from promptlabel.deeds import Deed, first_broken
from promptlabel.pipeline.authoring.workbench import Bench
from promptlabel.pipeline.workspace import Workspace
from promptlabel.settings import Review, Settings
from promptlabel.web.access import PROOF, TrustedProxy
from promptlabel.web.review import Admission, review_app

KEY, USER = "0123456789abcdef", "X-Forwarded-User"
PEOPLE = {"rita": "reviewer", "eve": "expert", "max": "maintainer", "all": ["expert", "maintainer"]}
SETTINGS = Settings.model_validate({"people": PEOPLE})
EVERYBODY = frozenset(PEOPLE)
PAGES = {
    "/tasks/quality": EVERYBODY,
    "/tasks/quality/conflicts": {"max", "all"},
    "/workbench": {"eve", "all"},
    "/history": {"max", "all"},
}
CALLS = {
    "/api/tasks/quality/next": EVERYBODY,
    "/api/tasks/quality/events": EVERYBODY,
    "/api/tasks/quality/disputed": {"max", "all"},
    "/api/tasks": {"eve", "all"},
    "/api/open": {"eve", "all"},
    "/api/check": {"eve", "all"},
    "/api/try": {"eve", "all"},
    "/api/save": {"eve", "all"},
}
OFFERS = {"Conflicts": "adjudicate", "Workbench": "write rules", "History": "see history"}


@pytest.fixture
def app(workspace: Workspace, clock: Any) -> Starlette:
    folder = workspace.project.rules / "quality"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text("task: quality\nlabels: {good: '', bad: ''}\n")
    bench = Bench(workspace.project, lambda: nullcontext(workspace))
    admission = Admission(SETTINGS.people, TrustedProxy(USER, KEY, SETTINGS.people), bench)
    return review_app(
        workspace.store, workspace.tasks, now=clock, review=Review(reviewers=2), admission=admission
    )


@pytest.fixture
def client(app: Starlette, browser: Callable[[Starlette], Any]) -> Any:
    return browser(app)


def as_(name: str) -> dict[str, str]:
    return {PROOF: KEY, USER: name}


def deeds(workspace: Workspace) -> list[Deed]:
    entries = list(workspace.store.deeds())
    assert first_broken(entries) is None
    return [entry.deed for entry in entries]


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_who_may_see_it(client: Any, path: str, name: str) -> None:
    answer = client.get(path, headers=as_(name))
    assert answer.status_code == (200 if name in PAGES[path] else 403)
    if answer.status_code == 403:
        assert "This page is not for your role" in answer.text
        assert f"and you are {name} ({PEOPLE[name]})" in answer.text


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("path", CALLS)
def test_a_call_is_for_who_may_make_it(client: Any, path: str, name: str) -> None:
    answer = client.post(path, headers=as_(name), json={})
    assert (answer.status_code != 403) == (name in CALLS[path])
    if answer.status_code == 403:
        assert f"and you are {name} ({PEOPLE[name]})" in answer.json()["error"]


@pytest.mark.parametrize("path", [*PAGES, *CALLS, "/"])
def test_no_route_opens_without_the_proxy(client: Any, path: str) -> None:
    for headers in ({}, {USER: "max"}, {USER: "max", PROOF: "guess"}, as_("mallory")):
        method = client.get if path in PAGES or path == "/" else client.post
        answer = method(path, headers=headers, **({} if method == client.get else {"json": {}}))
        assert answer.status_code == 403, (path, headers)
        assert "trace" not in answer.text.lower()


def test_no_route_is_forgotten_in_these_tables(app: Starlette) -> None:
    known = {path.replace("quality", "{task}") for path in [*PAGES, *CALLS]}
    open_to_machines = {"/", "/healthz", "/readyz", "/metrics", "/static"}
    assert {route.path for route in app.routes} == known | open_to_machines


@pytest.mark.parametrize("name", PEOPLE)
def test_the_page_offers_only_what_one_may_do(client: Any, name: str) -> None:
    for person in ("rita", "eve"):
        label = {"action": "label", "event_id": person, "trace_id": taken(client, person)}
        client.post(
            "/api/tasks/quality/events",
            headers=as_(person),
            json={"events": [{**label, "label": "good" if person == "rita" else "bad"}]},
        )
    text = client.get("/tasks/quality", headers=as_(name)).text
    person = SETTINGS.person(name, "")
    for offer, right in OFFERS.items():
        assert (f">{offer}" in text) == person.may(right), offer  # type: ignore[arg-type]


def taken(client: Any, name: str) -> str:
    answer = client.post(
        "/api/tasks/quality/next", headers=as_(name), json={"tab": name, "count": 1, "have": []}
    )
    return str(answer.json()["items"][0]["trace_id"])


def test_a_reviewer_cannot_adjudicate_by_calling_for_it(client: Any, workspace: Workspace) -> None:
    event = {"action": "adjudicate", "event_id": "e", "trace_id": "chat-001", "label": "good"}
    answer = client.post("/api/tasks/quality/events", headers=as_("rita"), json={"events": [event, event]})
    assert answer.status_code == 403
    assert answer.json()["error"] == "settling conflicts is for maintainers, and you are rita (reviewer)"
    assert list(workspace.store.reviews("quality")) == []
    assert [(deed.person, deed.outcome) for deed in deeds(workspace)][-1] == ("rita", "refused")


def test_settling_is_written_down_and_deciding_is_not(client: Any, workspace: Workspace) -> None:
    trace_id = taken(client, "rita")
    for person, label in (("rita", "good"), ("eve", "bad")):
        event = {"action": "label", "event_id": person, "trace_id": trace_id, "label": label}
        client.post("/api/tasks/quality/events", headers=as_(person), json={"events": [event]})
    event = {"action": "adjudicate", "event_id": "settled", "trace_id": trace_id, "label": "good"}
    for _ in range(2):  # a browser sends again what it did not hear of
        client.post("/api/tasks/quality/events", headers=as_("max"), json={"events": [event]})
    told = [(deed.person, deed.verb, deed.task, dict(deed.details)) for deed in deeds(workspace)]
    assert told == [
        ("rita", "sign in", None, {"roles": ["reviewer"]}),
        ("eve", "sign in", None, {"roles": ["expert"]}),
        ("max", "sign in", None, {"roles": ["maintainer"]}),
        ("max", "adjudicate", "quality", {"event": "settled"}),
    ]
    assert trace_id not in str(deeds(workspace))


def test_a_saved_rule_is_written_down_without_its_text(client: Any, workspace: Workspace) -> None:
    draft = {"task": "quality", "file": "new.yaml", "text": "sql: {bad: 'length(output) < 41'}\n"}
    saved = client.post("/api/save", headers=as_("eve"), json={**draft, "version": None}).json()
    deed = deeds(workspace)[-1]
    assert (deed.person, deed.verb, deed.task, deed.via) == ("eve", "save rule", "quality", "page")
    assert deed.details == {"file": "new.yaml", "version": saved["version"], "before": None}
    assert "41" not in str(deed)


def test_refusals_are_counted_but_do_not_fill_the_store(
    client: Any, workspace: Workspace, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        client.get("/history", headers={USER: "max"})
    assert [deed.outcome for deed in deeds(workspace)] == ["refused"]
    clock.now += timedelta(minutes=2)
    client.get("/history", headers={USER: "max"})
    last = deeds(workspace)[-1]
    assert (last.person, last.details["left out before"], last.details["path"]) == ("max", 19, "/history")
    monkeypatch.setattr("promptlabel.web.door._MOST_KEPT", 20)
    for number in range(60):
        client.get(f"/tasks/{number}", headers={USER: "max"})
    assert len(deeds(workspace)) <= 22


def test_the_history_page_tells_it_and_escapes_it(client: Any, workspace: Workspace) -> None:
    client.get("/history", headers={USER: "<script>x</script>"})
    text = client.get("/history", headers=as_("max")).text
    assert "<script>x" not in text
    assert "&lt;script&gt;x" in text
    assert list(workspace.store.deeds())[-1].seal in text


def test_guessed_addresses_are_written_down_without_the_guess(
    workspace: Workspace, browser: Callable[[Starlette], Any]
) -> None:
    client = browser(review_app(workspace.store, workspace.tasks, admission=Admission(SETTINGS.people)))
    assert client.get("/join/guessed-token").status_code == 403
    assert client.post("/join", json={"name": "max", "token": "guessed-token"}).status_code == 403
    (refused,) = deeds(workspace)
    assert (refused.person, refused.outcome, refused.details["path"]) == ("", "refused", "/join")
    assert "guessed" not in str(refused)


def test_each_address_lets_one_person_in_with_their_role(
    workspace: Workspace, browser: Callable[[Starlette], Any]
) -> None:
    app = review_app(workspace.store, workspace.tasks, admission=Admission(SETTINGS.people))
    rita, max_ = browser(app), browser(app)
    for client, name in ((rita, "rita"), (max_, "max")):
        address = f"/join/{app.state.sessions.invite(name)}"
        assert client.get(address).status_code == 303
        assert browser(app).get(address).status_code == 403, "it works once"
    assert rita.get("/tasks/quality").status_code == max_.get("/history").status_code == 200
    assert rita.get("/history").status_code == 403
    assert rita.post("/join", json={"name": "max"}).status_code == 403, "nobody takes another's name"
    assert rita.post("/invite", json={"name": "eve"}).status_code == 403
    assert "/join/" in max_.post("/invite", json={"name": "eve"}).json()["address"]
    unknown = max_.post("/invite", json={"name": "evee"})
    assert (unknown.status_code, "did you mean 'eve'" in unknown.json()["error"]) == (422, True)
    assert max_.get("/workbench").status_code == 404, "without a bench there is none"
