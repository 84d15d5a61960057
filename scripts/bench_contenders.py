"""What asks a model's questions in a bench, each in a process of its own: `bench_contenders.py NAME URL NUMBER AT_ONCE`.

Prints JSON: seconds and CPU-seconds for NUMBER questions after a warm-up, CPU-seconds before it, peak memory.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

from promptlabel.llm.chat import answer_form, messages
from promptlabel.llm.endpoints import endpoint
from promptlabel.llm.jobs import Job, Limits, Outcome
from promptlabel.records import Question, RegisteredRule
from promptlabel.settings import ModelSettings, Price

FILLER = "user: it still does not work\nassistant: please try to restart it\n" * 12
RULE = RegisteredRule("bench", "rule", "prompt", "model", "rule", "model")
WARM_UP = 200

Contender = Callable[[ModelSettings, int], Awaitable[None]]


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
    from promptlabel.llm.hosted import HostedClient
    from promptlabel.llm.ledger import Account
    from promptlabel.llm.sender import Sender

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
    from promptlabel.llm.translated import load_litellm

    litellm = load_litellm()
    form = answer_form(("yes", "no", "unsure"), rationale=False).response_format

    async def ask(question: Question) -> str:
        answer = await litellm.acompletion(
            model=settings.model,
            messages=messages(question),
            response_format=form,
            api_base=settings.api_base,
            api_key="none",
            max_retries=0,
        )
        return answer.choices[0].message.content

    await each(number, settings.concurrency, ask)


async def instructor_call(settings: ModelSettings, number: int) -> None:
    import instructor

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


CONTENDERS: dict[str, Contender] = {
    "aiohttp": raw_aiohttp,
    "aiohttp on uvloop": raw_aiohttp,
    "client and sender": ours,
    "litellm": litellm_call,
    "instructor": instructor_call,
}


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    name, url, number, at_once = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    settings = ModelSettings(
        model="openai/mock", api_base=url, concurrency=at_once, price=Price(input=1, output=1)
    )
    contender = CONTENDERS[name]
    if name in {"aiohttp on uvloop", "client and sender"}:
        from uvloop import run
    else:
        from asyncio import run

    async def measured() -> tuple[float, float, float]:
        await contender(settings, min(WARM_UP, number))
        before, since = cpu_seconds(), time.perf_counter()
        await contender(settings, number)
        return before, time.perf_counter() - since, cpu_seconds() - before

    before, seconds, cpu = run(measured())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"items": number, "seconds": seconds, "cpu": cpu, "start": before, "megabytes": peak}))


if __name__ == "__main__":
    main()
