#!/usr/bin/env python3
"""Our sender beside raw aiohttp, LiteLLM's own call and Instructor, against one mock server, in one run.

`python scripts/bench_engine.py` prints requests a second, CPU-milliseconds a request (this process alone: the mock
runs in another) and ratios to raw aiohttp. `--end-to-end` runs `promptlabel vote` on a project made for it: rendering,
keys, look-up, calls and the durable store included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from promptlabel.llm.chat import answer_form
from promptlabel.llm.endpoints import endpoint
from promptlabel.llm.hosted import HostedClient
from promptlabel.llm.jobs import Job, Limits, Outcome
from promptlabel.llm.ledger import Account
from promptlabel.llm.sender import Sender
from promptlabel.records import Question, RegisteredRule
from promptlabel.settings import ModelSettings, Price

HERE = Path(__file__).parent
RULE = RegisteredRule("bench", "rule", "prompt", "model", "rule", "model")
FILLER = "user: it still does not work\nassistant: please try to restart it\n" * 12

Contender = Callable[[ModelSettings, int], Awaitable[None]]


@dataclass(frozen=True)
class Figures:
    """What one contender took."""

    requests: int
    wall: float
    cpu: float

    def line(self, name: str, base: Figures | None) -> str:
        """A row: name, requests/s, CPU-ms, and both against the base."""
        rate, each = self.requests / self.wall, 1000 * self.cpu / self.requests
        row = f"{name:12} {rate:9.0f}/s {each:9.3f} CPU-ms"
        if base is None:
            return row
        return f"{row} {rate / (base.requests / base.wall):7.2f}x rate {each / (1000 * base.cpu / base.requests):7.2f}x CPU"


def questions(number: int) -> Iterator[Question]:
    for index in range(number):
        yield Question(f"{FILLER}key=k{index} Was the user helped?", ("yes", "no", "unsure"))


async def each(number: int, at_once: int, ask: Callable[[Question], Awaitable[object]]) -> None:
    source = questions(number)

    async def work() -> None:
        for question in source:
            await ask(question)

    await asyncio.gather(*(work() for _ in range(at_once)))


async def raw_aiohttp(settings: ModelSettings, number: int) -> None:
    import aiohttp

    target = endpoint(settings)
    assert target is not None
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=settings.concurrency)) as session:

        async def ask(question: Question) -> str:
            async with session.post(
                target.url, json=target.body(question), headers=target.headers
            ) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        await each(number, settings.concurrency, ask)


async def ours(settings: ModelSettings, number: int) -> None:
    client = HostedClient("model", settings)
    answered = 0

    async def deliver(outcome: Outcome) -> None:
        nonlocal answered
        answered += not isinstance(outcome.result, Exception)

    jobs = (Job(question, f"{index}", RULE) for index, question in enumerate(questions(number)))
    report = await Sender(client, Limits.of(settings), Account(limit_usd=1e6)).run(jobs, deliver)
    await client.close()
    assert answered == report.calls == number


async def litellm_call(settings: ModelSettings, number: int) -> None:
    from promptlabel.llm.translated import Translated

    translated = Translated(settings.model or "", settings, lambda _: 0.0)
    await each(number, settings.concurrency, translated.ask)
    await translated.close()


async def instructor_call(settings: ModelSettings, number: int) -> None:
    import instructor

    from promptlabel.llm.chat import messages
    from promptlabel.llm.translated import load_litellm

    litellm = load_litellm()
    client = instructor.from_litellm(litellm.acompletion, mode=instructor.Mode.JSON_SCHEMA)
    form = answer_form(("yes", "no", "unsure"), rationale=False).model

    async def ask(question: Question) -> object:
        return await client.chat.completions.create(
            response_model=form,
            messages=messages(question),
            max_retries=0,
            model=settings.model,
            api_base=settings.api_base,
            api_key="none",
        )

    await each(number, settings.concurrency, ask)


CONTENDERS: dict[str, tuple[Contender, int]] = {
    "aiohttp": (raw_aiohttp, 1),
    "promptlabel": (ours, 1),
    "litellm": (litellm_call, 10),
    "instructor": (instructor_call, 20),
}
"""Each with the share of the requests that is enough for it."""


@contextmanager
def mock(latency: float) -> Iterator[str]:
    command = [sys.executable, str(HERE / "mock_model.py"), "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def measure(
    contender: Contender, settings: ModelSettings, number: int, loop: Callable[..., object]
) -> Figures:
    asyncio.run(contender(settings, min(number, 50)))
    wall, cpu = time.perf_counter(), time.process_time()
    loop(contender(settings, number))
    return Figures(number, time.perf_counter() - wall, time.process_time() - cpu)


def compare(given: argparse.Namespace) -> None:
    loop = _uvloop() if given.uvloop else asyncio.run
    with mock(given.latency) as url:
        settings = ModelSettings(
            model="openai/mock", api_base=url, concurrency=given.concurrency, price=Price(input=1, output=1)
        )
        base = None
        for name in given.only or CONTENDERS:
            contender, share = CONTENDERS[name]
            figures = measure(contender, settings, max(100, given.number // share), loop)
            print(figures.line(name, base), flush=True)
            base = base or figures
    print(f"peak memory {_peak_megabytes()} MB, LiteLLM {'' if 'litellm' in sys.modules else 'not '}loaded")


def end_to_end(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder, mock(given.latency) as url:
        project = Path(folder)
        _write_project(project, url, given)
        _promptlabel(project, "ingest", str(project / "traces.jsonl"))
        before = os.times()
        voted = json.loads(_promptlabel(project, "vote", "--json"))
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        print(Figures(voted["votes"], voted["seconds"], cpu).line("vote", None))
        again = json.loads(_promptlabel(project, "vote", "--json"))
        print(f"again: {again['calls']} calls, {given.number / max(again['seconds'], 1e-9):,.0f} traces/s")


def _write_project(project: Path, url: str, given: argparse.Namespace) -> None:
    rules = project / "rules" / "helped"
    rules.mkdir(parents=True)
    model = {"model": "openai/mock", "api_base": url, "concurrency": given.concurrency}
    configuration = {"models": {"default": {**model, "price": {"input": 1.0, "output": 1.0}}}}
    (project / "promptlabel.yaml").write_text(json.dumps(configuration))
    (rules / "task.yaml").write_text(json.dumps({"task": "helped", "labels": {"yes": "helped", "no": "not"}}))
    rule = {
        "description": "Helped?",
        "prompt": "{{ trace.transcript }}\nWas the user helped?",
        "decode": "json",
    }
    (rules / "helped.yaml").write_text(json.dumps(rule))
    with (project / "traces.jsonl").open("w") as file:
        for index in range(given.number):
            file.write(
                json.dumps({"trace_id": f"t{index}", "input": f"{FILLER} key=k{index}", "output": "ok"})
                + "\n"
            )


def _promptlabel(project: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "promptlabel", arguments[0], "--project", str(project), *arguments[1:]]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _uvloop() -> Callable[..., object]:
    from uvloop import run

    return run


def _peak_megabytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) // 1000 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=5000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--only", nargs="*", choices=CONTENDERS)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--end-to-end", action="store_true")
    given = parser.parse_args()
    if given.end_to_end:
        end_to_end(given)
    else:
        compare(given)


if __name__ == "__main__":
    main()
