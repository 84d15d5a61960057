"""From a model's settings to a client; what is heavy is imported here, when it is used."""

from __future__ import annotations

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
    from promptlabel.llm.hosted import HostedClient

    return HostedClient(name, settings)
