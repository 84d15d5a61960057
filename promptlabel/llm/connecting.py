"""From a model's settings to a client; what is heavy is imported here, when it is used."""

from __future__ import annotations

from importlib.util import find_spec

from promptlabel.errors import MissingExtraError
from promptlabel.llm.client import Client
from promptlabel.settings import ModelSettings


def connect(name: str, settings: ModelSettings) -> Client:
    """The client for the project's model `name`; nothing is sent and no weights are read yet.

    Raises:
        InputError: the script of a scripted model is wrong, or weights, vocabulary or an optional library are missing.
    """
    match settings.provider:
        case "local":
            from promptlabel.llm.local import LocalClient

            return LocalClient(name, settings)
        case "scripted":
            from promptlabel.llm.scripted import ScriptedClient

            return ScriptedClient(name, settings)
        case "vllm":
            from promptlabel.llm.in_process import InProcessClient

            return InProcessClient(name, settings)
        case "litellm":
            return _hosted(name, settings)


def _hosted(name: str, settings: ModelSettings) -> Client:
    if (settings.model or "").startswith("hosted_vllm/"):
        from promptlabel.llm.served import ServedClient

        return ServedClient(name, settings)
    if (settings.model or "").startswith("vertex_ai") and not _has_google_auth():
        raise MissingExtraError("google-auth, which Vertex AI needs,", "pip install 'promptlabel[vertex]'")
    from promptlabel.llm.hosted import HostedClient

    return HostedClient(name, settings)


def _has_google_auth() -> bool:
    return find_spec("google") is not None and find_spec("google.auth") is not None
