import asyncio

import pytest

from promptlabel.errors import InputError, ModelError
from promptlabel.llm.connecting import connect
from promptlabel.llm.jobs import Limits
from promptlabel.llm.ledger import Account
from promptlabel.llm.scripted import Line, ScriptedClient, read_script
from promptlabel.llm.sender import Sender
from promptlabel.records import Answer, Question, Usage
from promptlabel.settings import ModelSettings, Price

SETTINGS = ModelSettings(provider="scripted", model="in memory", price=Price(input=1e6, output=0.0))


def ask(question, *lines):
    return asyncio.run(ScriptedClient("m", SETTINGS, lines).ask(question))


def question(prompt="Good?", decode="json"):
    return Question(prompt, ("yes", "no"), decode=decode)


def test_the_first_line_that_matches_replies():
    lines = [Line(match="refund", answer="no"), Line(match="^Good", answer="yes"), Line(answer="no")]
    assert ask(question("a refund"), *lines).text == '{"answer":"no"}'
    assert ask(question("Good?"), *lines).text == '{"answer":"yes"}'
    assert ask(question("Bad?"), *lines).text == '{"answer":"no"}'


def test_an_answer_takes_the_form_that_is_asked_for():
    assert ask(question(decode="text"), Line(answer="yes")).text == "yes"
    answer = ask(question(decode="logprobs"), Line(answer="yes"))
    assert (answer.text, answer.distribution, answer.outside) == ("yes", {"yes": 1.0, "no": 0.0}, 0.0)


def test_text_stands_as_it_is():
    assert ask(question(), Line(text="perhaps")).text == "perhaps"


def test_a_distribution_is_renormalised_and_what_is_missing_is_outside():
    answer = ask(question(decode="logprobs"), Line(distribution={"yes": 0.2, "no": 0.6}))
    assert answer.text == "no"
    assert answer.distribution == pytest.approx({"yes": 0.25, "no": 0.75})
    assert answer.outside == pytest.approx(0.2)


def test_usage_is_priced():
    answer = ask(question(), Line(answer="yes", usage={"input": 3, "output": 9}))
    assert (answer.usage, answer.usd) == (Usage(3, 9), 3.0)


def test_errors_are_those_of_real_models():
    for cause, permanent in (("rate_limit", False), ("auth", True)):
        with pytest.raises(ModelError) as caught:
            ask(question(), Line(error=cause))
        assert (caught.value.cause, caught.value.permanent) == (cause, permanent)


def test_a_prompt_that_no_line_matches_is_an_error():
    with pytest.raises(ModelError, match="no line"):
        ask(question(), Line(match="else", answer="yes"))


def test_a_line_used_up_gives_way_to_the_next(fly, make_jobs):
    client = ScriptedClient("m", SETTINGS, [Line(error="server_error", times=2), Line(answer="yes")])

    async def run():
        loop = asyncio.get_running_loop()
        outcomes = []

        async def deliver(outcome):
            outcomes.append(outcome)

        from promptlabel.llm.jobs import Chance

        sender = Sender(client, Limits(), Account(), Chance(clock=loop.time))
        return await sender.run(make_jobs(3), deliver), outcomes

    report, outcomes = fly(run())
    assert (report.answered, report.causes["server_error"]) == (3, 2)
    results = [outcome.result for outcome in outcomes]
    assert results.count(None) == 2  # a failed request each, handed over when it ended
    assert sum(isinstance(result, Answer) for result in results) == 3


def test_a_script_file_is_read_by_its_model(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text("- match: 'refund'\n  answer: 'no'\n- distribution: {yes: 0.9, no: 0.1}\n")
    client = connect("m", ModelSettings(provider="scripted", model=str(path)))
    assert isinstance(client, ScriptedClient)
    assert [line.match for line in read_script(path)] == ["refund", ""]
    assert asyncio.run(client.ask(question("hm", "logprobs"))).distribution == pytest.approx(
        {"yes": 0.9, "no": 0.1}
    )


def test_every_fault_of_a_script_is_listed(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text(
        "- match: '('\n  answer: x\n- anser: y\n- answer: x\n  text: y\n- times: 0\n  answer: x\n"
    )
    with pytest.raises(InputError) as caught:
        read_script(path)
    text = str(caught.value)
    assert all(
        part in text for part in ("not a regular expression", "anser", "exactly one of", "times", str(path))
    )
    assert {fault.line for fault in caught.value.faults} >= {1, 3}


def test_a_missing_script_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        read_script(tmp_path / "nowhere.yaml")


def test_tokens_are_a_token_for_every_four_bytes():
    client = ScriptedClient("m", SETTINGS, [])
    assert client.count_tokens(question("x" * 40)) == Usage(11, SETTINGS.max_tokens)
