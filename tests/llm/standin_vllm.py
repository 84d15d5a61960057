"""A stand-in for the package vLLM, for tests that need its manners and not its model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

WORDS = ["<unk>", "<s>", "\n", ":", "The", " answer", " is", " one", " of", ",", ".", "Answer", "It"]
WORDS += [" works", " broke", " hums", " good", " bad", " not"]

PACKAGE = """
import os, random
from types import SimpleNamespace

class SamplingParams:
    def __init__(self, **fields): self.__dict__.update(fields)

class LLM:
    def __init__(self, model, **arguments):
        if "load" in arguments: exec(arguments["load"])
        self.arguments, self.number, self.open = arguments, 0, []
        self.model_config = SimpleNamespace(max_model_len=arguments.get("max_model_len", 64))
        self.llm_engine = self
        self.tell = arguments.get("tell")

    def _add(self, prompt, parameters):
        if len(prompt) > self.model_config.max_model_len:
            error = ValueError("too long"); error.parameter = "input_tokens"; raise error
        self.number += 1
        self.open.append((str(self.number), prompt, parameters))
        return f"{self.number}-abcd1234"

    def enqueue(self, prompts, parameters, use_tqdm):
        print("noise on stdout")
        return [self._add(p["prompt_token_ids"], s) for p, s in zip(prompts, parameters)]

    def enqueue_chat(self, chats, parameters, use_tqdm):
        text = chats[0][-1]["content"]
        if "die" in text: os._exit(3)
        if "kill" in text: os.kill(os.getpid(), 9)
        return [self._add(text.split(), parameters[0])]

    def has_unfinished_requests(self): return bool(self.open)

    def step(self):
        random.shuffle(self.open)
        name, prompt, parameters = self.open.pop()
        schema = getattr(parameters, "structured_outputs", None)
        text = '{"answer":"%s"}' % schema.json["properties"]["answer"]["enum"][0] if schema else " ".join(map(str, prompt))
        wanted = getattr(parameters, "logprob_token_ids", None) or []
        shown = {token: SimpleNamespace(logprob=-1.0 - token / 10 - len(prompt) / 100) for token in wanted}
        shown[999] = SimpleNamespace(logprob=float("-inf"))
        said = SimpleNamespace(text=text, finish_reason="stop", token_ids=[1], logprobs=[shown])
        return [SimpleNamespace(request_id=name, finished=False),
                SimpleNamespace(request_id=name, finished=True, outputs=[said], prompt_token_ids=prompt, num_cached_tokens=1)]
"""
SAMPLING = """
class StructuredOutputsParams:
    def __init__(self, json): self.json = json
"""
PLATFORMS = """
class current_platform:
    @staticmethod
    def is_cpu(): return True
"""

RUN_BATCH = """
import argparse, json, os, sys, time
from tokenizers import Tokenizer

parser = argparse.ArgumentParser()
for name in ("-i", "-o", "--model", "--served-model-name", "--generation-config", "--max-model-len"):
    parser.add_argument(name)
parser.add_argument("--trust-request-chat-template", action="store_true")
given = parser.parse_args(sys.argv[2:])
assert sys.argv[1] == "run-batch" and given.trust_request_chat_template
print("loading", flush=True)
time.sleep(float(os.environ.get("STANDIN_SECONDS", "0")))
if os.environ.get("STANDIN_FAILS"):
    sys.exit("no memory for the cache")
tokenizer = Tokenizer.from_file(os.path.join(given.model, "tokenizer.json"))
tokenizer.encode_special_tokens = True
with open(given.o, "w") as out:
    for line in open(given.i):
        asked = json.loads(line)
        body = asked["body"]
        assert asked["url"] == "/v1/chat/completions" and body["model"] == given.served_model_name
        length = len(tokenizer.encode(body["messages"][-1]["content"], add_special_tokens=False).ids)
        top = [{"token": f"token_id:{t}", "logprob": -1.0 - t / 10 - length / 100} for t in body.get("logprob_token_ids", [])]
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        text = json.dumps({"answer": schema["properties"]["answer"]["enum"][0]}) if schema else "x"
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop",
                  "logprobs": {"content": [{"top_logprobs": top}]} if top else None}
        usage = {"prompt_tokens": length, "completion_tokens": 1}
        response = {"status_code": 200, "request_id": "r", "body": {"choices": [choice], "usage": usage}}
        print(json.dumps({"id": "v", "custom_id": asked["custom_id"], "response": response, "error": None}), file=out)
"""


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of an interpreter that imports the stand-in."""
    package = tmp_path / "site" / "vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    (package / "sampling_params.py").write_text(SAMPLING)
    (package / "platforms.py").write_text(PLATFORMS)
    command = package / "entrypoints" / "cli"
    command.mkdir(parents=True)
    (command / "main.py").write_text(RUN_BATCH)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return sys.executable


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder that looks like a model's."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text('{"max_position_embeddings": 64}')
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n| ?\w+|[^\w\s]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
