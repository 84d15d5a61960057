"""`review`: the page served on this machine until Ctrl-C, its address printed when it is ready."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Final

from promptlabel.errors import fail
from promptlabel.llm.local import models_kept
from promptlabel.people import clean_name
from promptlabel.pipeline.authoring.workbench import Bench
from promptlabel.pipeline.recording import at_the_prompt, notice_settings
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import JsonValue
from promptlabel.settings import Review
from promptlabel.store.sharing import StoreServer
from promptlabel.web.access import trusted_proxy
from promptlabel.web.protection import LOOPBACK
from promptlabel.web.refreshing import Refresher
from promptlabel.web.review import Admission, review_app
from promptlabel.web.server import announce, run_server

_PROXIED: Final = (
    "Review at {}\n"
    "The proxy says who comes, in HEADER; nobody gets in beside it. Ctrl-C stops; every decision is stored at once.\n"
)
FIRST: Final = "reviewer"
"""What whoever opens the printed address first is called, unless somebody says otherwise."""


def serve(
    workspace: Workspace,
    *,
    port: int = 8711,
    host: str = "127.0.0.1",
    reviewer: str = FIRST,
    name: str | None = None,
    invited: Sequence[str] = (),
    review: Review | None = None,
    as_json: bool = False,
) -> None:
    """Nothing; returns when the server has been stopped with Ctrl-C. Port 0 is any free one.

    Args:
        workspace: its tasks are reviewed, and other processes reach its store through this one meanwhile.
        port: where the page is.
        host: likewise.
        name: the name under which a proxy with TLS on this machine reaches the page for others.
        reviewer: the name of whoever opens the printed address first, where `people` are not named.
        invited: people who get an address of their own, which works once; where there are some, the printed
            address works once too. Where `people` are named, all of them do, unless some are given or a proxy says
            who comes.
        review: in place of the project's settings.
        as_json: what is printed.

    Raises:
        InputError: when the address cannot be had; for a name that is none, or not among `people`; where a proxy is
            to say who comes, and `people` or the secret shared with it is missing.
    """
    actor = at_the_prompt(workspace.project.settings)
    notice_settings(workspace, actor)
    review = review or workspace.project.settings.review
    admission = admission_of(workspace, review)
    names = _invited(workspace, admission, invited, reviewer)
    app = review_app(
        workspace.store,
        workspace.tasks,
        reviewer=reviewer,
        hosts=(*LOOPBACK, host, *([name] if name else [])),
        review=review,
        open_to_all=not names,
        folder=workspace.project.state,
        admission=admission,
    )
    links = {name: app.state.sessions.invite(name) for name in names}

    def ready(local: str) -> None:
        address = f"https://{name}{app.state.path}" if name else local
        base = address.removesuffix(app.state.path)
        started: dict[str, JsonValue] = {"address": base, "people": len(admission.people)}
        workspace.store.add_deed(actor.deed("start the review", details=started))
        invitations = {name: f"{base}/join/{token}" for name, token in links.items()}
        announce(address, invitations, as_json=as_json, sentence=_sentence(admission))

    refresher = Refresher(app.state.desk)
    with (
        models_kept(),
        StoreServer(workspace.store, workspace.project.state, refresher.heed),
        refresher,
    ):
        run_server(app, ready, port=port, host=host)
        workspace.store.add_deed(actor.deed("stop the review"))


def admission_of(workspace: Workspace, review: Review) -> Admission:
    """Who may come, as the settings say; experts find the workbench.

    Raises:
        InputError: if a proxy is to say who comes, and `people` or the secret shared with it is missing.
    """
    settings = workspace.project.settings
    proxy = trusted_proxy(settings, review.trusted_header) if review.trusted_header else None
    experts = any("expert" in roles for roles in settings.people.values())
    bench = Bench(workspace.project, lambda: nullcontext(workspace)) if experts else None
    return Admission(settings.people, proxy, bench)


def _invited(
    workspace: Workspace, admission: Admission, invited: Sequence[str], reviewer: str
) -> Sequence[str]:
    """Who gets an address of their own: whoever is named, and where people have roles all of them."""
    if not admission.people:
        return [clean_name(name) or fail("a name has 1 to 64 printable characters") for name in invited]
    settings = workspace.project.settings
    if reviewer != FIRST:
        settings.person(reviewer, "--reviewer")
    named = [settings.person(name, "--invite").name for name in invited]
    return [] if admission.proxy else named or list(admission.people)


def _sentence(admission: Admission) -> str | None:
    return _PROXIED.replace("HEADER", admission.proxy.header) if admission.proxy else None
