import subprocess
import sys

import pytest

from promptlabel.errors import InputError
from promptlabel.llm.connecting import connect
from promptlabel.llm.hosted import HostedClient
from promptlabel.settings import ModelSettings


def test_a_hosted_model_is_reached_by_its_litellm_name():
    client = connect("judge", ModelSettings(model="openai/gpt-5-mini"))
    assert isinstance(client, HostedClient)
    assert client.name == "judge"


def test_vertex_without_googles_library_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr("promptlabel.llm.connecting.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"promptlabel\[vertex\]"):
        connect("judge", ModelSettings(model="vertex_ai/gemini-2.5-flash"))


@pytest.mark.parametrize("model", ["openai/gpt-5-mini", "anthropic/claude-haiku-4-5"])
def test_connecting_imports_nothing_heavy(model):
    code = (
        "import sys; from promptlabel.llm.connecting import connect; from promptlabel.settings import ModelSettings;"
        f"connect('m', ModelSettings(model={model!r}));"
        "heavy = {'litellm', 'instructor', 'openai', 'tiktoken', 'torch', 'aiohttp', 'xllamacpp'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
