import asyncio
import gc
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from promptlabel.errors import ModelError
from promptlabel.llm.failures import UnusableAnswerError
from promptlabel.llm.jobs import Chance, Job, Limits
from promptlabel.llm.ledger import Account
from promptlabel.llm.sender import Sender
from promptlabel.records import Answer, Question, RegisteredRule, Usage

RULE = RegisteredRule("quality", "asks_again", "prompt", "judge", "rule-hash", "model-hash")
PRICE = 0.01


def sound(_):
    return Answer('{"answer":"yes"}', usage=Usage(10, 1), usd=PRICE)


def failing(cause, *, permanent=False, retry_after=None):
    return ModelError(cause, cause=cause, permanent=permanent, retry_after=retry_after)


@dataclass
class FakeModel:
    """Answers after `latency`; `reply(call number)` gives an answer or an error."""

    reply: object = sound
    latency: float = 0.1
    decodes: tuple = ("json",)
    calls: int = 0
    open: int = 0
    most_open: int = 0
    starts: list = field(default_factory=list)
    prompts: Counter = field(default_factory=Counter)
    bounded: list = field(default_factory=list)

    async def ask(self, question):
        call, self.calls = self.calls, self.calls + 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.starts.append(asyncio.get_running_loop().time())
        self.prompts[question.prompt] += 1
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.open -= 1
        result = self.reply(call)
        if isinstance(result, Exception):
            raise result
        return result

    def count_tokens(self, question):
        return Usage(10, 1)

    def price(self, usage):
        return PRICE * 1.5 if usage.input_tokens else 0.0

    async def close(self):
        pass


def chance():
    loop = asyncio.get_running_loop()
    return Chance(clock=loop.time, random=lambda: 0.5)


async def send(model, jobs, *, account=None, during=None, deliver=None, **limits):
    outcomes = []

    undecided = {}

    async def keep(outcome):
        request = outcome.job.request
        before = undecided.pop(request).attempts if request in undecided else ()
        whole = replace(outcome, attempts=(*before, *outcome.attempts))
        if outcome.result is None:
            undecided[request] = whole
        else:
            outcomes.append(whole)

    sender = Sender(model, Limits(**limits), account or Account(), chance())
    helper = asyncio.create_task(during(sender)) if during else None
    report = await sender.run(jobs, deliver or keep)
    if helper:
        await helper
    return report, [*outcomes, *undecided.values()]


def test_every_job_is_delivered_once_with_its_item(fly, make_jobs):
    report, outcomes = fly(send(FakeModel(), make_jobs(100), concurrency=8))
    assert sorted(outcome.job.item for outcome in outcomes) == list(range(100))
    assert report.answered == report.calls == 100
    assert report.usd == pytest.approx(100 * PRICE)
    assert all(len(outcome.attempts) == 1 and outcome.attempts[0].cause == "ok" for outcome in outcomes)


def test_an_attempt_says_whose_it_was_and_how_long_it_took(fly, make_jobs):
    _, (outcome,) = fly(send(FakeModel(latency=2.5), make_jobs(1)))
    (attempt,) = outcome.attempts
    assert (attempt.task, attempt.rule, attempt.model) == ("quality", "asks_again", "judge")
    assert (attempt.request, attempt.seconds, attempt.usage) == ("request-0", 2.5, Usage(10, 1))


def test_open_requests_never_pass_the_ceiling_and_reach_it(fly, make_jobs):
    model = FakeModel()
    fly(send(model, make_jobs(200), concurrency=16))
    assert model.most_open == 16


def test_the_first_request_goes_alone(fly, make_jobs):
    model = FakeModel(latency=1)
    fly(send(model, make_jobs(50), concurrency=16))
    assert sum(start < 1 for start in model.starts) == 1


def test_jobs_are_pulled_only_when_they_can_be_sent(fly, make_jobs):
    pulled = 0

    def counted():
        nonlocal pulled
        for job in make_jobs(10_000):
            pulled += 1
            yield job

    async def during(sender):
        await asyncio.sleep(0.95)
        assert pulled <= 16 + sender.report.answered
        sender.stop()

    fly(send(FakeModel(), counted(), during=during, concurrency=16))
    assert pulled < 200


def test_an_asynchronous_source_of_jobs_will_do(fly, make_jobs):
    async def slowly():
        for job in make_jobs(20):
            await asyncio.sleep(1)
            yield [job]

    report, _ = fly(send(FakeModel(), slowly(), concurrency=4))
    assert report.answered == 20


def test_a_retry_does_not_wait_for_a_source_that_is_silent(fly, make_jobs):
    model = FakeModel(reply=lambda call: failing("server_error") if call == 1 else sound(call))
    answered = asyncio.Event()

    async def waits_for_its_own_answers():
        jobs = make_jobs(3)
        yield [next(jobs), next(jobs)]
        await answered.wait()
        yield [next(jobs)]

    async def deliver(outcome):
        if outcome.job.item == 1:
            answered.set()

    report, _ = fly(send(model, waits_for_its_own_answers(), deliver=deliver, concurrency=4))
    assert report.answered == 3


@pytest.mark.parametrize(
    "cause", ["server_error", "overloaded", "timeout", "connection", "malformed_body", "empty"]
)
def test_what_may_pass_is_tried_again(cause, fly, make_jobs):
    model = FakeModel(reply=lambda call: failing(cause) if call % 3 == 1 else sound(call))
    report, outcomes = fly(send(model, make_jobs(30), concurrency=4))
    assert report.answered == 30
    assert report.calls == sum(len(outcome.attempts) for outcome in outcomes) == model.calls
    assert report.causes[cause] == model.calls - 30


def test_a_question_is_given_up_after_its_attempts(fly, make_jobs):
    model = FakeModel()
    bad = "key=k3 Did it help?"

    async def ask(question, ask=model.ask):
        answer = await ask(question)
        if question.prompt == bad:
            raise failing("malformed_body")
        return answer

    model.ask = ask
    report, outcomes = fly(send(model, make_jobs(10), concurrency=2, attempts=4))
    dead = [outcome for outcome in outcomes if isinstance(outcome.result, ModelError)]
    assert [outcome.job.item for outcome in dead] == [3]
    assert (dead[0].result.cause, len(dead[0].attempts)) == ("malformed_body", 4)
    assert (report.answered, report.failed, report.stopped) == (9, 1, None)


def test_waits_between_attempts_grow_with_full_jitter(fly, make_jobs):
    model = FakeModel(
        reply=lambda call: failing("malformed_body") if 0 < call < 5 else sound(call), latency=0
    )
    fly(send(model, make_jobs(2), concurrency=1))
    gaps = [after - before for before, after in zip(model.starts[1:], model.starts[2:], strict=False)]
    assert gaps == pytest.approx([0.5, 1.0, 2.0, 4.0])


def test_what_cannot_pass_is_not_tried_again(fly, make_jobs):
    model = FakeModel(reply=lambda call: failing("bad_request") if call == 5 else sound(call))
    report, _ = fly(send(model, make_jobs(20), concurrency=2))
    assert (report.calls, report.answered, report.failed, report.stopped) == (20, 19, 1, None)


@pytest.mark.parametrize("cause", ["auth", "no_credit", "forbidden", "not_found", "quota"])
def test_a_permanent_error_at_the_start_costs_one_call(cause, fly, make_jobs):
    model = FakeModel(reply=lambda _: failing(cause, permanent=True))
    report, outcomes = fly(send(model, make_jobs(1000), concurrency=64))
    assert model.calls == 1
    assert (report.stopped, report.message) == (cause, cause)
    assert [outcome.result for outcome in outcomes] == [None]
    assert len(outcomes[0].attempts) == 1


def test_a_permanent_error_later_lets_requests_in_flight_finish(fly, make_jobs):
    model = FakeModel(reply=lambda call: failing("no_credit", permanent=True) if call == 40 else sound(call))
    report, outcomes = fly(send(model, make_jobs(1000), concurrency=16))
    assert report.stopped == "no_credit"
    assert model.calls <= 40 + 2 * 16
    assert report.answered == model.calls - 1
    assert sum(outcome.result is None for outcome in outcomes) == 1


def test_the_same_bad_request_for_the_first_questions_stops_the_run(fly, make_jobs):
    model = FakeModel(reply=lambda _: failing("bad_request"))
    report, _ = fly(send(model, make_jobs(1000), concurrency=64))
    assert report.stopped == "bad_request"
    assert model.calls == 3


def test_refusals_of_the_first_questions_do_not_stop_the_run(fly, make_jobs):
    model = FakeModel(reply=lambda call: failing("refusal") if call < 5 else sound(call))
    report, _ = fly(send(model, make_jobs(20), concurrency=4))
    assert (report.answered, report.failed, report.stopped) == (15, 5, None)


def test_a_wait_that_the_server_asks_for_holds_everybody(fly, make_jobs):
    told_at, told = [], 30.0

    def reply(call):
        if call == 40:
            told_at.append(asyncio.get_running_loop().time())
            return failing("rate_limit", retry_after=told)
        return sound(call)

    model = FakeModel(reply=reply)
    report, _ = fly(send(model, make_jobs(200), concurrency=16))
    (at,) = told_at
    assert not [start for start in model.starts if at < start < at + told]
    assert sum(at + told <= start < at + told + 0.1 for start in model.starts) == 1
    assert report.answered == 200


def test_a_wait_beyond_the_cap_ends_the_run_and_says_so(fly, make_jobs):
    reply = lambda call: failing("rate_limit", retry_after=3600.0) if call == 5 else sound(call)  # noqa: E731
    report, outcomes = fly(send(FakeModel(reply=reply), make_jobs(100), concurrency=2))
    assert report.stopped == "rate_limit"
    assert "3600 s" in report.message
    assert sum(outcome.result is None for outcome in outcomes) == 1


def test_concurrency_shrinks_under_429s_and_grows_again(fly, make_jobs):
    limit = 8
    model = FakeModel()
    open_before = []

    async def ask(question, ask=model.ask):
        open_before.append(model.open)
        if model.open >= limit:
            await asyncio.sleep(0.01)
            raise failing("rate_limit")
        return await ask(question)

    model.ask = ask
    report, _ = fly(send(model, make_jobs(3000), concurrency=64))
    assert report.answered == 3000
    assert report.causes["rate_limit"] < 600


def test_a_dead_server_is_probed_one_request_at_a_time(fly, make_jobs):
    died, back = 2.0, 60.0

    def reply(_):
        now = asyncio.get_running_loop().time()
        return failing("connection") if died <= now < back else sound(0)

    model = FakeModel(reply=reply)
    report, _ = fly(send(model, make_jobs(2000), concurrency=16))
    during = [start for start in model.starts if died + 1 <= start < back]
    assert report.answered == 2000
    assert len(during) <= 8
    assert min(start for start in model.starts if start >= back) <= back + 30


def test_a_model_that_stays_silent_ends_the_run(fly, make_jobs):
    model = FakeModel(reply=lambda call: failing("connection") if call > 10 else sound(call))
    report, outcomes = fly(send(model, make_jobs(2000), concurrency=16, patience=100.0))
    assert report.stopped == "connection"
    assert report.failed == 0
    assert not any(isinstance(outcome.result, ModelError) for outcome in outcomes)


def test_the_deadline_holds_for_the_whole_request(fly, make_jobs):
    model = FakeModel(latency=1000)
    _report, (outcome,) = fly(send(model, make_jobs(1), attempts=2, deadline=5.0, patience=60.0))
    assert {attempt.cause for attempt in outcome.attempts} == {"timeout"}
    assert all(attempt.seconds == 5.0 for attempt in outcome.attempts)


def test_a_request_that_may_have_been_paid_is_booked_at_its_bound(fly, make_jobs):
    model = FakeModel(
        reply=lambda call: UnusableAnswerError("cut", cause="malformed_body") if call == 1 else sound(call)
    )
    account = Account(limit_usd=1.0)
    report, _ = fly(send(model, make_jobs(3), account=account, concurrency=1))
    assert report.usd == pytest.approx(3 * PRICE + 1.5 * PRICE)
    assert account.spent_usd == pytest.approx(report.usd)


def test_requests_per_minute(fly, make_jobs):
    model = FakeModel(latency=0.01)
    fly(send(model, make_jobs(100), concurrency=16, requests_per_minute=60))
    assert max(Counter(int(start // 10) for start in model.starts).values()) <= 11


def test_tokens_per_minute(fly, make_jobs):
    model = FakeModel(latency=0.01)
    fly(send(model, make_jobs(60), concurrency=16, tokens_per_minute=11 * 60))
    assert model.starts[-1] - model.starts[0] == pytest.approx(59, abs=1)


def test_equal_requests_are_sent_once(fly):
    question = Question("same", ("yes", "no"))
    model = FakeModel(latency=1)
    jobs = (Job(question, "same", RULE, index) for index in range(500))
    report, outcomes = fly(send(model, jobs, concurrency=8))
    assert model.calls == 1
    assert (report.answered, report.shared) == (500, 499)
    assert sorted(outcome.job.item for outcome in outcomes) == list(range(500))
    assert sum(len(outcome.attempts) for outcome in outcomes) == 1


def test_equal_requests_share_a_failure(fly):
    question = Question("same", ("yes", "no"))
    model = FakeModel(reply=lambda _: failing("refusal"))
    jobs = (Job(question, "same", RULE, index) for index in range(5))
    report, _ = fly(send(model, jobs, concurrency=8))
    assert (model.calls, report.failed) == (1, 5)


def test_stop_lets_requests_in_flight_finish_and_sends_no_more(fly, make_jobs):
    model = FakeModel(latency=1)

    async def during(sender):
        await asyncio.sleep(3.5)
        sender.stop()

    report, outcomes = fly(send(model, make_jobs(1000), during=during, concurrency=16))
    assert report.stopped == "interrupted"
    assert report.answered == model.calls == len(outcomes)
    assert max(model.starts) <= 3.5


def test_stop_cuts_what_does_not_finish_within_the_grace(fly, make_jobs):
    model = FakeModel(latency=1)

    async def during(sender):
        await asyncio.sleep(1.5)
        model.latency = 1000
        await asyncio.sleep(1.5)
        sender.stop()
        stopped.append(asyncio.get_running_loop().time())

    stopped = []

    async def timed():
        result = await send(model, make_jobs(1000), during=during, concurrency=4, grace=5.0)
        return *result, asyncio.get_running_loop().time()

    report, outcomes, ended = fly(timed())
    assert ended == pytest.approx(stopped[0] + 5.0)
    cut = [outcome for outcome in outcomes if outcome.result is None]
    assert {attempt.cause for outcome in cut for attempt in outcome.attempts} == {"stopped"}
    assert report.calls == model.calls == sum(len(outcome.attempts) for outcome in outcomes)


def test_stop_wakes_those_who_wait_out_a_hold(fly, make_jobs):
    model = FakeModel(
        reply=lambda call: failing("rate_limit", retry_after=250.0) if call == 3 else sound(call)
    )

    async def during(sender):
        await asyncio.sleep(10)
        sender.stop()

    async def timed():
        await send(model, make_jobs(1000), during=during, concurrency=8)
        return asyncio.get_running_loop().time()

    assert fly(timed()) == pytest.approx(10.0)


@pytest.mark.parametrize("limit_calls", [1, 7, 50])
def test_the_budget_of_calls_holds_with_many_in_flight(limit_calls, fly, make_jobs):
    model = FakeModel()
    report, _ = fly(send(model, make_jobs(500), account=Account(limit_calls=limit_calls), concurrency=16))
    assert (model.calls, report.stopped) == (limit_calls, "budget")


def test_the_budget_in_dollars_holds_and_is_used_as_far_as_it_goes(fly, make_jobs):
    model = FakeModel()
    account = Account(limit_usd=1.0)
    report, outcomes = fly(send(model, make_jobs(500), account=account, concurrency=16))
    assert report.stopped == "budget"
    assert 1.0 - 1.5 * PRICE < account.spent_usd <= 1.0
    assert all(outcome.result for outcome in outcomes)


def test_a_budget_used_up_before_sends_nothing(fly, make_jobs):
    model = FakeModel()
    report, outcomes = fly(send(model, make_jobs(5), account=Account(limit_usd=1.0, spent_usd=1.0)))
    assert (model.calls, report.stopped, outcomes) == (0, "budget", [])


def test_an_error_of_the_receiver_ends_the_run_at_once(fly, make_jobs):
    async def broken(outcome):
        raise OSError("disk full")

    model = FakeModel()
    with pytest.raises(OSError, match="disk full"):
        fly(send(model, make_jobs(1000), deliver=broken, concurrency=16))
    assert model.calls <= 17


def test_an_error_of_the_source_ends_the_run(fly, make_jobs):
    def broken():
        yield from make_jobs(3)
        raise ValueError("bad rule")

    with pytest.raises(ValueError, match="bad rule"):
        fly(send(FakeModel(), broken(), concurrency=2))


def test_a_fault_of_the_client_costs_one_question_only(fly, make_jobs):
    model = FakeModel(reply=lambda call: KeyError("oops") if call == 4 else sound(call))
    report, outcomes = fly(send(model, make_jobs(20), concurrency=2))
    assert (report.answered, report.failed) == (19, 1)
    assert [o.result.cause for o in outcomes if isinstance(o.result, ModelError)] == ["client_error"]


class CarefulModel(FakeModel):
    corrections = 0

    def ceiling(self, question):
        self.bounded.append(question.prompt)
        return Usage(20, 2)

    def accepts(self, question, answer):
        return answer.text == '{"answer":"yes"}'

    def pause(self):
        return 0.0

    def correction(self, question, answer):
        return replace(question, prompt=f"{question.prompt} not {answer.text}")

    async def correct(self, correction):
        self.corrections += 1
        return await self.ask(correction)


def ill_formed():
    return Answer("yes, I think", usage=Usage(10, 4), usd=PRICE)


def test_an_ill_formed_answer_is_asked_for_once_more_and_paid_for(fly, make_jobs):
    model = CarefulModel(reply=lambda call: ill_formed() if call == 2 else sound(call))
    report, outcomes = fly(send(model, make_jobs(5), concurrency=1))
    assert (report.answered, report.calls, model.corrections) == (5, 6, 1)
    assert [attempt.cause for attempt in outcomes[2].attempts] == ["malformed", "ok"]
    assert report.usd == pytest.approx(6 * PRICE)


def test_an_answer_that_stays_ill_formed_is_delivered_as_it_is(fly, make_jobs):
    model = CarefulModel(reply=lambda _: ill_formed())
    _report, (outcome,) = fly(send(model, make_jobs(1)))
    assert outcome.result.text == "yes, I think"
    assert [attempt.cause for attempt in outcome.attempts] == ["malformed", "malformed"]


def test_a_failed_correction_leaves_the_first_answer(fly, make_jobs):
    replies = [sound(0), ill_formed(), failing("server_error"), sound(0)]
    model = CarefulModel(reply=lambda call: replies[call])
    _report, outcomes = fly(send(model, make_jobs(3), concurrency=1))
    assert outcomes[1].result.text == "yes, I think"
    assert [attempt.cause for attempt in outcomes[1].attempts] == ["malformed", "server_error"]


def test_the_money_for_a_correction_is_set_aside_for_what_it_asks(fly, make_jobs):
    model = CarefulModel(reply=lambda call: ill_formed() if call == 0 else sound(call))
    fly(send(model, make_jobs(1), account=Account(limit_usd=1.0)))
    assert [prompt.endswith("not yes, I think") for prompt in model.bounded] == [False, True]


def test_a_request_that_decided_nothing_is_handed_over_when_it_ends(fly, make_jobs):
    told = []

    async def tell(outcome):
        told.append((model.calls, outcome.result is None, [attempt.cause for attempt in outcome.attempts]))

    replies = [failing("server_error"), ill_formed(), sound(0)]
    model = CarefulModel(reply=lambda call: replies[call])
    fly(send(model, make_jobs(1), deliver=tell))
    assert told == [(1, True, ["server_error"]), (2, True, ["malformed"]), (3, False, ["ok"])]


@pytest.mark.slow
def test_memory_stays_flat(fly, make_jobs):
    async def drop(outcome):
        pass

    def pending_objects():
        gc.collect()
        return sum(type(thing).__name__ in {"Job", "_Pending", "Attempt"} for thing in gc.get_objects())

    fly(send(FakeModel(), make_jobs(20_000), deliver=drop, concurrency=32))
    assert pending_objects() < 100
