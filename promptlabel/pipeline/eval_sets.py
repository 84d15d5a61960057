"""A task's frozen eval versions as they count today."""

from __future__ import annotations

from promptlabel.evals.versions import EvalVersion, read_versions
from promptlabel.pipeline.workspace import Workspace


def eval_versions(workspace: Workspace, task: str) -> tuple[EvalVersion, ...]:
    """The task's frozen versions, oldest first, without the cases of traces that were forgotten since.

    Raises:
        InputError: for each version that was edited, is incomplete or cannot be read.
    """
    versions = read_versions(workspace.project.evals / task)
    names = sorted(frozenset[str]().union(*(version.trace_ids for version in versions)))
    gone = workspace.store.forgotten("trace", names) if names else frozenset()
    return tuple(version.without(gone) for version in versions) if gone else versions
