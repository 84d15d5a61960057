"""The documented nginx configurations before a real server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from store_samples import a_trace
from uvicorn import Config, Server

from promptlabel.deeds import first_broken
from promptlabel.pipeline.workspace import open_project
from promptlabel.records import Pick
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.web.review import review_app

NAME = "labels.example.com"
TASK = Task(TaskSpec(task="quality", labels={"good": "", "bad": ""}), (), ())
CONFIGURATION = Path(__file__).parents[2] / "docs" / "nginx.conf"
pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """The port of a review page that knows its public name, and the token that lets people in."""
    with DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal") as store:
        store.add_traces([a_trace(1)])
        store.save_queue("quality", [Pick("trace-00001", "quality", "audit", 0.5, 0.5, "")])
        app = review_app(store, [TASK], hosts=("127.0.0.1", NAME))
        port = free_port()
        server = Server(Config(app, port=port, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield port, app.state.token
        server.should_exit = True
        thread.join()


@contextmanager
def in_front_of(port: int, configuration: Path, folder: Path, **moved: object) -> Iterator[httpx.Client]:
    """A browser that reaches the server of that port through nginx.

    `moved` has files named in the configuration, and where they are, or the port of whoever signs people in.
    """
    certificate = [str(folder / name) for name in ("pem", "key")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}",
         "-addext", f"subjectAltName=DNS:{NAME}", "-out", certificate[0], "-keyout", certificate[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    own = free_port()
    text = configuration.read_text().replace("listen 443", f"listen 127.0.0.1:{own}")
    text = text.replace("http://127.0.0.1:8711", f"http://127.0.0.1:{port}")
    for ending, path in zip(("pem", "key"), certificate, strict=True):
        text = text.replace(f"/etc/ssl/{NAME}.{ending}", path)
    text = text.replace("http://127.0.0.1:4180", f"http://127.0.0.1:{moved.pop('signing_in', 4180)}")
    for name, file in moved.items():
        text = text.replace(f"/etc/nginx/promptlabel{name}", str(file))
    folders = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "nginx.conf"
    whole.write_text(
        f"daemon off; user root; pid {folder}/pid; error_log stderr; events {{}}"
        f" http {{ access_log off; {folders} {text} }}"
    )
    nginx = subprocess.Popen(["nginx", "-c", whole, "-p", folder], stderr=subprocess.PIPE)
    context = ssl.create_default_context(cafile=certificate[0])
    context.check_hostname = False
    with httpx.Client(
        base_url=f"https://127.0.0.1:{own}", verify=context, headers={"Host": f"{NAME}:{own}"}
    ) as client:
        client.headers["Origin"] = f"https://{NAME}:{own}"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                client.get("/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield client
    nginx.terminate()
    nginx.communicate()


@pytest.fixture
def browser(page: tuple[int, str], tmp_path: Path) -> Iterator[httpx.Client]:
    with in_front_of(page[0], CONFIGURATION, tmp_path) as client:
        yield client


def test_people_join_and_decide_through_it(browser: httpx.Client, page: tuple[int, str]) -> None:
    joined = browser.post("/join", json={"token": page[1], "name": "Ada"})
    assert joined.json() == {"reviewer": "Ada"}
    cookie = joined.headers["set-cookie"]
    assert "; secure" in cookie.lower()
    assert "httponly" in cookie.lower()
    browser.headers["Cookie"] = cookie.partition(";")[0]
    given = browser.post("/api/tasks/quality/next", json={"count": 1, "have": [], "tab": "t"})
    assert "trace-00001" in given.text, given.text


def test_what_is_for_machines_and_other_sites_stay_out(browser: httpx.Client) -> None:
    assert browser.get("/healthz").status_code == 200
    assert browser.get("/metrics").status_code == 404
    assert browser.get("/healthz", headers={"Host": "elsewhere.example.com"}).status_code == 400
    refused = browser.post(
        "/join", json={"token": "", "name": "x"}, headers={"Origin": "https://evil.example.com"}
    )
    assert refused.status_code == 403


# --- nginx signs people in

KEY = "a secret of nginx and this page"
PASSWORDS = {"rita": "rs", "max": "ms", "mallory": "not one of us"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "rules" / "quality").mkdir(parents=True)
    (root / "rules" / "quality" / "task.yaml").write_text("task: quality\nlabels: {good: '', bad: ''}\n")
    (root / "promptlabel.yaml").write_text("people: {rita: reviewer, max: [expert, maintainer]}\n")
    with open_project(root) as workspace:
        workspace.store.add_traces([a_trace(1)])
        workspace.store.save_queue("quality", [Pick("trace-00001", "quality", "audit", 0.5, 0.5, "")])
    return root


@pytest.fixture
def served(project: Path) -> Iterator[str]:
    """The address of `promptlabel review` itself, behind the proxy."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "promptlabel", "review", "--project", project, "--port", str(port), "--as", "max",
         "--name", NAME, "--trusted-header", "X-Forwarded-User", "--json"],
        env={**os.environ, "PROMPTLABEL_PROXY_SECRET": KEY}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == f'{{"address":"https://{NAME}/"}}\n'
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stdout.close()


@pytest.fixture
def proxied(served: str, tmp_path: Path) -> Iterator[httpx.Client]:
    users, proof = tmp_path / "htpasswd", tmp_path / "proof.conf"
    hashed = {
        name: subprocess.run(
            ["openssl", "passwd", "-apr1", password], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name, password in PASSWORDS.items()
    }
    users.write_text("".join(f"{name}:{text}\n" for name, text in hashed.items()))
    users.chmod(0o644)
    proof.write_text(f'proxy_set_header X-Promptlabel-Proxy "{KEY}";\n')
    files = {".htpasswd": users, "-proof.conf": proof}
    port = int(served.rpartition(":")[2])
    tmp_path.chmod(0o755)
    with in_front_of(port, CONFIGURATION.with_name("nginx-people.conf"), tmp_path, **files) as client:
        yield client


def test_two_people_have_their_own_roles_and_nobody_can_pretend(
    proxied: httpx.Client, served: str, project: Path
) -> None:
    rita, max_, mallory = ((name, PASSWORDS[name]) for name in ("rita", "max", "mallory"))
    task, secret = "/tasks/quality", ("/history", "/workbench", "/tasks/quality/conflicts")

    assert proxied.get(task).status_code == 401, "nginx wants a password"
    assert proxied.get(task, auth=("max", "guess")).status_code == 401
    assert "<summary>rita</summary>" in proxied.get(task, auth=rita).text
    assert "<summary>max</summary>" in proxied.get(task, auth=max_).text
    assert [proxied.get(path, auth=rita).status_code for path in secret] == [403, 403, 403]
    assert [proxied.get(path, auth=max_).status_code for path in secret] == [200, 200, 200]
    stranger = proxied.get(task, auth=mallory)
    assert (stranger.status_code, "obody named mallory is" in stranger.text) == (403, True)

    pretending = {"X-Forwarded-User": "max", "X-Promptlabel-Proxy": "guess", "Remote-User": "max"}
    answer = proxied.get(task, auth=rita, headers=pretending)
    assert "<summary>rita</summary>" in answer.text, "what a browser sends under these names is replaced"
    assert proxied.get("/history", auth=rita, headers=pretending).status_code == 403

    for headers in (
        {},
        {"X-Forwarded-User": "max"},
        pretending,
        {"X-Forwarded-User": "max", "X-Real-IP": "127.0.0.1"},
    ):
        beside = httpx.get(f"{served}/history", headers=headers)
        assert (beside.status_code, "come through the proxy" in beside.text.lower()) == (403, True)

    items = {"count": 1, "have": [], "tab": "t"}
    given = proxied.post("/api/tasks/quality/next", auth=rita, json=items)
    assert "trace-00001" in given.text
    elsewhere = {"Origin": "https://evil.example.com"}
    assert (
        proxied.post("/api/tasks/quality/next", auth=rita, json=items, headers=elsewhere).status_code == 403
    )
    decided = {"event_id": "e", "action": "label", "trace_id": "trace-00001", "label": "good"}
    sent = proxied.post("/api/tasks/quality/events", auth=rita, json={"events": [decided]})
    assert sent.json()["results"][0]["outcome"] == "stored"

    with open_project(project) as workspace:  # lent by the page that runs
        (event,) = workspace.store.reviews("quality")
        entries = list(workspace.store.deeds())
    assert event.reviewer == "rita"
    assert first_broken(entries) is None
    told = [(entry.deed.person, entry.deed.verb, entry.deed.outcome) for entry in entries]
    assert told[0] == ("max", "start the review", "done")
    for expected in (
        ("rita", "sign in", "done"), ("max", "sign in", "done"), ("rita", "open a page", "refused"),
        ("mallory", "open a page", "refused"), ("max", "open a page", "refused"),
    ):  # fmt: skip
        assert expected in told


class SigningIn(BaseHTTPRequestHandler):
    """What oauth2-proxy answers nginx: who the cookie is of, or 401."""

    def do_GET(self) -> None:
        known = {"session=1": "rita", "session=2": "max"}
        name = known.get(self.headers.get("Cookie", ""))
        self.send_response(202 if name else 401)
        if name:
            self.send_header("X-Auth-Request-User", name)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def test_single_sign_on_says_who_comes(served: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof.conf"
    proof.write_text(f'proxy_set_header X-Promptlabel-Proxy "{KEY}";\n')
    port = int(served.rpartition(":")[2])
    with ThreadingHTTPServer(("127.0.0.1", 0), SigningIn) as signing_in:
        threading.Thread(target=signing_in.serve_forever, daemon=True).start()
        moved = {"-proof.conf": proof, "signing_in": signing_in.server_port}
        with in_front_of(port, CONFIGURATION.with_name("nginx-sso.conf"), tmp_path, **moved) as browser:
            away = browser.get("/tasks/quality", headers={"X-Forwarded-User": "max"})
            assert away.status_code == 302
            assert "/oauth2/sign_in?rd=https://labels.example.com" in away.headers["location"]
            rita, max_ = {"Cookie": "session=1"}, {"Cookie": "session=2"}
            assert "<summary>rita</summary>" in browser.get("/tasks/quality", headers=rita).text
            pretending = {**rita, "X-Forwarded-User": "max", "X-Auth-Request-User": "max"}
            assert browser.get("/history", headers=pretending).status_code == 403
            assert browser.get("/history", headers=max_).status_code == 200
            items = {"count": 1, "have": [], "tab": "t"}
            given = browser.post("/api/tasks/quality/next", headers=rita, json=items)
            assert "trace-00001" in given.text
        signing_in.shutdown()
