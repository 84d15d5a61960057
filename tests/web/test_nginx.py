"""The documented nginx configuration before a real server."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from store_samples import a_trace
from uvicorn import Config, Server

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


@pytest.fixture
def browser(page: tuple[int, str], tmp_path: Path) -> Iterator[httpx.Client]:
    certificate = [str(tmp_path / name) for name in ("pem", "key")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}",
         "-addext", f"subjectAltName=DNS:{NAME}", "-out", certificate[0], "-keyout", certificate[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    text = CONFIGURATION.read_text().replace("listen 443", f"listen 127.0.0.1:{port}")
    text = text.replace("127.0.0.1:8711", f"127.0.0.1:{page[0]}")
    for ending, path in zip(("pem", "key"), certificate, strict=True):
        text = text.replace(f"/etc/ssl/{NAME}.{ending}", path)
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"daemon off; user root; pid {tmp_path}/pid; error_log stderr; events {{}}"
        f" http {{ access_log off; {folders} {text} }}"
    )
    nginx = subprocess.Popen(["nginx", "-c", whole, "-p", tmp_path], stderr=subprocess.PIPE)
    context = ssl.create_default_context(cafile=certificate[0])
    context.check_hostname = False
    origin = f"https://{NAME}:{port}"
    with httpx.Client(
        base_url=f"https://127.0.0.1:{port}", verify=context, headers={"Host": f"{NAME}:{port}"}
    ) as client:
        client.headers["Origin"] = origin
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
