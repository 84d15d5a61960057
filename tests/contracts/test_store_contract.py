"""What every home of the store must do; each implementation is one entry of `HOMES`."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_homes import Open
from store_samples import (
    LABELS,
    RULE,
    START,
    TASK,
    a_code_vote,
    a_review,
    a_rule,
    a_trace,
    a_vote,
    an_attempt,
    by_key,
)

from promptlabel.deeds import Deed, first_broken
from promptlabel.errors import InputError
from promptlabel.records import Event, Gold, Message, Pick, Trace
from promptlabel.store.contract import Added, PosteriorTable, Spent, Store
from promptlabel.store.rows import pack, statuses


def voted(store: Store, task: str = TASK) -> dict[str, object]:
    return by_key([vote for _, vote in store.votes(task)])


def a_deed(number: int, **fields: object) -> Deed:
    plain = {
        "at": START + timedelta(seconds=number),
        "person": "ann\0a",
        "via": "cli",
        "host": "root@here",
        "verb": "freeze",
    }
    return Deed(**{**plain, **fields})  # type: ignore[arg-type]


class TestDeeds:
    def test_are_kept_in_order_each_sealed_after_the_last(self, store: Store, reopen: Open) -> None:
        items = [
            a_deed(2, task="quality", details={"version": "2026.3.1", "cases": 12, "of": ["a", None, 1.5]}),
            a_deed(1, person="", via="page", host="10.0.0.7", verb="open a page", outcome="refused"),
            a_deed(3, at=START.astimezone(timezone(timedelta(hours=2))) + timedelta(microseconds=7)),
        ]
        kept = [store.add_deed(deed) for deed in items]
        again = list(reopen().deeds())
        assert again == kept
        assert [entry.deed for entry in again] == items
        assert [entry.number for entry in again] == [1, 2, 3]
        assert first_broken(again) is None

    def test_equal_ones_are_two(self, store: Store) -> None:
        first, second = store.add_deed(a_deed(1)), store.add_deed(a_deed(1))
        assert (first.number, second.number) == (1, 2)
        assert first.seal != second.seal

    def test_of_many_threads_make_one_chain(self, store: Store) -> None:
        def work(first: int) -> None:
            for number in range(first, 40, 4):
                store.add_deed(a_deed(number))

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        entries = list(store.deeds())
        assert len(entries) == 40
        assert first_broken(entries) is None


class TestTraces:
    def test_come_back_as_they_went_in(self, store: Store, reopen: Open) -> None:
        traces = [
            a_trace(1),
            Trace("only-output", output="o"),
            Trace("only-messages", messages=(Message("user", "hi"),), session_id="s", user_id="u"),
        ]
        assert store.add_traces(traces) == Added(3, 0)
        again = reopen()
        assert list(again.traces()) == [traces[0], traces[2], traces[1]]
        assert again.count_traces() == 3

    def test_are_ordered_by_time_then_id_and_those_without_time_come_last(self, store: Store) -> None:
        same = START + timedelta(days=1)
        ids = {"z": START, "b": same, "a": same, "n2": None, "n1": None}
        store.add_traces(Trace(name, timestamp=moment, input="i") for name, moment in ids.items())
        assert [trace.trace_id for trace in store.traces()] == ["z", "a", "b", "n1", "n2"]
        assert [trace.trace_id for trace in store.traces(limit=2)] == ["z", "a"]

    def test_can_be_asked_for_by_id(self, store: Store) -> None:
        store.add_traces(map(a_trace, range(20)))
        wanted = ["trace-00011", "unknown", "trace-00003"]
        assert [trace.trace_id for trace in store.traces(wanted)] == ["trace-00003", "trace-00011"]
        assert list(store.traces([])) == []

    def test_stored_or_repeated_with_equal_content_are_present(self, store: Store) -> None:
        store.add_traces([a_trace(1)])
        assert store.add_traces([a_trace(1), a_trace(2), a_trace(2)]) == Added(added=1, present=2)
        assert store.count_traces() == 2

    def test_with_other_content_are_refused_all_named_and_nothing_is_stored(self, store: Store) -> None:
        store.add_traces([a_trace(1), a_trace(2)])
        changed = [
            a_trace(1, input="x"),
            a_trace(2, input="x"),
            a_trace(3),
            a_trace(4),
            a_trace(4, output="x"),
        ]
        with pytest.raises(InputError) as caught:
            store.add_traces(changed)
        assert {fault.key for fault in caught.value.faults} == {"trace-00001", "trace-00002", "trace-00004"}
        assert store.count_traces() == 2
        assert store.add_traces([a_trace(3)]) == Added(1, 0)

    def test_refused_in_great_number_are_counted_after_the_first_fifty(self, store: Store) -> None:
        store.add_traces(map(a_trace, range(60)))
        with pytest.raises(InputError) as caught:
            store.add_traces(a_trace(number, input="x") for number in range(60))
        assert len(caught.value.faults) == 51
        assert "10 more" in str(caught.value.faults[-1])

    def test_a_failing_reader_leaves_nothing_behind(self, store: Store) -> None:
        def traces() -> Iterator[Trace]:
            yield from map(a_trace, range(1500))
            raise InputError("line 1501 is not JSON")

        with pytest.raises(InputError, match="1501"):
            store.add_traces(traces())
        assert store.count_traces() == 0

    def test_keep_odd_text_and_other_time_zones(self, store: Store) -> None:
        odd = Trace(
            "nul\0 'quote\" ; DROP TABLE traces",
            timestamp=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            input="\0\u2028\U0001f600",
            metadata={"": {"a": [{}]}},
        )
        store.add_traces([odd, a_trace(1)])
        assert next(store.traces([odd.trace_id])) == odd
        assert next(trace.trace_id for trace in store.traces()) == odd.trace_id


class TestEventsAndSignals:
    def test_equal_events_are_one(self, store: Store) -> None:
        event = Event("t", START, "rated", {"stars": 4}, {"page": "x"})
        later = replace(event, timestamp=START + timedelta(seconds=1))
        assert store.add_events([later, event, event]) == Added(2, 1)
        assert store.add_events([event]) == Added(0, 1)
        assert list(store.events()) == [event, later]
        assert list(store.events(["other"])) == []
        assert list(store.events(["t"])) == [event, later]

    def test_signals_are_attached_and_replaced(self, store: Store) -> None:
        store.add_traces([a_trace(1), a_trace(2)])
        store.add_signals([("trace-00001", {"copied": 1.0, "edits": 2.0})])
        store.add_signals([("trace-00001", {"edits": 3.0})])
        first, second = store.traces()
        assert dict(first.signals) == {"edits": 3.0}
        assert dict(second.signals) == {}

    def test_that_change_make_votes_without_a_request_pending_again(self, store: Store, reopen: Open) -> None:
        code = replace(RULE, rule="code", kind="signal", model="code", rule_hash="c", model_hash="c")
        store.add_traces([a_trace(1), a_trace(2)])
        store.register_rules(TASK, [RULE, code])
        before = [("trace-00001", {"copied": 0.0}), ("trace-00002", {"copied": 0.0})]
        store.add_signals(before)
        store.add_votes([a_vote(1), a_vote(2), a_code_vote(1, rule=code), a_code_vote(2, rule=code)])
        store.add_signals([("trace-00001", {"copied": 1.0}), before[1]])
        assert [trace.trace_id for trace, _ in store.pending(code)] == ["trace-00001"]
        assert list(store.pending(RULE)) == []
        store.add_votes([a_code_vote(1, rule=code)])
        assert list(reopen().pending(code)) == []

    def test_what_arrived_after_the_signals_is_listed(self, store: Store) -> None:
        store.add_traces([a_trace(1), a_trace(2)])
        assert list(store.traces_with_new_events()) == ["trace-00001", "trace-00002"]
        store.add_signals([("trace-00001", {}), ("trace-00002", {"copied": 1.0})])
        assert list(store.traces_with_new_events()) == []
        store.add_events([Event("trace-00002", START, "copied"), Event("not-yet-here", START, "copied")])
        assert list(store.traces_with_new_events()) == ["trace-00002"]
        store.add_traces([Trace("not-yet-here", input="i")])
        assert list(store.traces_with_new_events()) == ["trace-00002", "not-yet-here"]


class TestRules:
    def test_are_the_last_registered_in_their_order(self, store: Store, reopen: Open) -> None:
        rules = [a_rule("b"), a_rule("a"), a_rule("a", model="judge")]
        store.register_rules(TASK, [a_rule("old")])
        store.register_rules(TASK, rules)
        store.register_rules("other", [])
        assert list(reopen().registered_rules(TASK)) == rules

    def test_packed_votes_are_votes_like_others(self, store: Store, reopen: Open) -> None:
        code = replace(RULE, rule="code", kind="heuristic", model="code", rule_hash="c", model_hash="c")
        store.add_traces([a_trace(1), a_trace(2), a_trace(3)])
        store.register_rules(TASK, [code])
        votes = [
            a_code_vote(1, rule=code),
            replace(a_code_vote(2, rule=code), distribution={"good": 0.25, "bad": 0.75}),
            replace(a_code_vote(3, rule=code), status="error", label=None, cause="ValueError: three"),
        ]
        packed = pickle.loads(pickle.dumps(pack(votes)))  # noqa: S301 - as between processes of one run
        assert statuses(packed) == {"vote": 2, "error": 1}
        store.add_packed_votes(packed)
        store.add_packed_votes(packed)
        assert by_key([vote for _, vote in reopen().votes(TASK)]) == by_key(votes)

    def test_a_renamed_rule_keeps_its_votes_and_an_edited_one_starts_anew(self, store: Store) -> None:
        store.add_traces([a_trace(1)])
        store.register_rules(TASK, [RULE])
        store.add_votes([a_vote(1)])
        renamed = replace(RULE, rule="repeats")
        store.register_rules(TASK, [renamed])
        assert list(store.votes(TASK)) == [(renamed, a_vote(1))]
        store.register_rules(TASK, [a_rule("repeats", meaning="edited")])
        assert list(store.votes(TASK)) == []
        store.register_rules(TASK, [RULE])
        assert list(store.votes(TASK)) == [(RULE, a_vote(1))]


class TestPending:
    def test_is_every_trace_and_sample_without_a_vote_of_any_status(self, store: Store) -> None:
        store.add_traces(map(a_trace, range(10)))
        store.register_rules(TASK, [RULE])
        store.add_votes(
            [a_vote(1), a_vote(2, status="abstain"), a_vote(3, status="error"), a_vote(4, sample=1)]
        )
        found = {(trace.trace_id, sample) for trace, sample in store.pending(RULE, samples=2)}
        done = {(1, 0), (2, 0), (3, 0), (4, 1)}
        every = set(itertools.product(range(10), range(2)))
        assert found == {(f"trace-{number:05d}", sample) for number, sample in every - done}

    def test_comes_whole_with_its_signals(self, store: Store) -> None:
        store.add_traces([a_trace(1)])
        store.add_signals([("trace-00001", {"copied": 1.0})])
        assert list(store.pending(RULE)) == [(a_trace(1, signals={"copied": 1.0}), 0)]

    def test_is_in_an_order_that_is_stable_and_unlike_time(self, store: Store, reopen: Open) -> None:
        store.add_traces(map(a_trace, range(5000)))
        order = [trace.trace_id for trace, _ in store.pending(RULE)]
        assert len(set(order)) == 5000
        assert [trace.trace_id for trace, _ in store.pending(RULE, limit=100)] == order[:100]
        store.add_votes([a_vote(int(name[-5:])) for name in order[:50]])
        assert [trace.trace_id for trace, _ in reopen().pending(RULE)] == order[50:]
        numbers = np.array([int(name[-5:]) for name in order])
        assert abs(np.corrcoef(numbers, np.arange(5000))[0, 1]) < 0.05
        assert abs(numbers[:500].mean() - 2500) < 200

    def test_may_be_answered_while_it_is_read(self, store: Store) -> None:
        store.add_traces(map(a_trace, range(4500)))
        seen = []
        for trace, _ in store.pending(RULE):
            seen.append(trace.trace_id)
            if len(seen) % 500 == 0:
                store.add_votes([a_code_vote(int(name[-5:])) for name in seen[-500:]])
        assert len(seen) == len(set(seen)) == 4500
        assert list(store.pending(RULE)) == []


class TestVotes:
    def test_come_back_as_they_went_in(self, store: Store, reopen: Open) -> None:
        store.add_traces(map(a_trace, range(5)))
        store.register_rules(TASK, [RULE])
        votes = [
            a_vote(0),
            a_vote(1, distribution={"good": 0.25, "bad": 0.75}),
            a_vote(2, status="abstain"),
            a_vote(3, status="malformed"),
            a_vote(4, status="error"),
        ]
        store.add_votes(list(reversed(votes)))
        assert [vote for _, vote in reopen().votes(TASK)] == votes

    def test_are_chosen_by_rule_and_by_trace(self, store: Store) -> None:
        other = a_rule("other")
        store.add_traces(map(a_trace, range(4)))
        store.register_rules(TASK, [other, RULE])
        store.add_votes([a_vote(n, rule=rule) for rule in (RULE, other) for n in range(4)])
        found = [(rule.rule, vote.trace_id) for rule, vote in store.votes(TASK, trace_ids=["trace-00002"])]
        assert found == [("other", "trace-00002"), ("asks_again", "trace-00002")]
        assert [vote for _, vote in store.votes(TASK, rule="other")] == [
            a_vote(n, rule=other) for n in range(4)
        ]
        assert list(store.votes("no such task")) == []

    def test_with_a_present_key_change_nothing(self, store: Store) -> None:
        store.register_rules(TASK, [RULE])
        store.add_votes([a_vote(1)])
        store.add_votes([a_vote(1, label="bad"), a_vote(1, status="error")])
        assert voted(store) == by_key([a_vote(1)])

    @pytest.mark.parametrize("failed", ["malformed", "error"])
    @pytest.mark.parametrize("usable", ["vote", "abstain"])
    def test_usable_ones_replace_failed_ones(self, store: Store, failed: str, usable: str) -> None:
        store.register_rules(TASK, [RULE])
        store.add_votes([a_vote(1, status=failed), a_vote(2, status=failed), a_vote(2, status=usable)])
        assert store.count_votes(TASK) == {("asks_again", "default"): {failed: 1, usable: 1}}
        store.add_votes([a_vote(1, status=usable)])
        store.add_votes([a_vote(1, status=failed)])
        assert voted(store) == by_key([a_vote(1, status=usable), a_vote(2, status=usable)])

    @settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_give_the_same_table_in_any_order_and_any_split(self, store: Store, data: st.DataObject) -> None:
        rule = a_rule(data.draw(st.uuids().map(str)))
        store.register_rules(TASK, [rule])
        votes = [a_vote(n, rule=rule, status=("vote", "abstain")[n % 2]) for n in range(12)]
        failed = [a_vote(n, rule=rule, status="malformed") for n in range(0, 12, 3)]
        arriving = data.draw(st.permutations(votes + failed + votes[:4]))
        while arriving:
            size = data.draw(st.integers(1, len(arriving)))
            store.add_votes(arriving[:size])
            arriving = arriving[size:]
        assert voted(store) == by_key(votes)

    def test_with_a_key_that_is_no_digest_are_refused_before_anything_is_written(self, store: Store) -> None:
        store.register_rules(TASK, [RULE])
        with pytest.raises(ValueError, match="digest"):
            store.add_votes([a_vote(1), replace(a_vote(2), key="short")])
        assert voted(store) == {}

    def test_are_changed_by_calibration_in_four_fields_only(self, store: Store, reopen: Open) -> None:
        store.register_rules(TASK, [RULE])
        store.add_votes([a_vote(1), a_vote(2)])
        changed = replace(
            a_vote(1), status="abstain", label=None, confidence=0.5, distribution={"good": 0.5, "bad": 0.5}
        )
        store.replace_votes([replace(changed, rationale="not this")])
        assert voted(reopen()) == by_key([changed, a_vote(2)])

    def test_are_counted_by_rule_model_and_status(self, store: Store) -> None:
        judge = a_rule(model="judge")
        store.register_rules(TASK, [RULE, judge, a_rule("silent")])
        store.add_votes([a_vote(1), a_vote(2), a_vote(3, status="abstain"), a_vote(1, rule=judge)])
        assert store.count_votes(TASK) == {
            ("asks_again", "default"): {"vote": 2, "abstain": 1},
            ("asks_again", "judge"): {"vote": 1},
            ("silent", "default"): {},
        }

    def test_written_by_many_threads_at_once_are_all_there_once(self, store: Store) -> None:
        store.register_rules(TASK, [RULE])

        def write(first: int) -> None:
            for number in range(first, first + 20):
                store.add_votes([a_vote(number)], [an_attempt(a_vote(number))])

        threads = [threading.Thread(target=write, args=(first,)) for first in (0, 10, 20, 30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert voted(store) == by_key([a_vote(number) for number in range(50)])
        assert store.spent().calls == 80


class TestVoteTable:
    def test_has_every_trace_and_every_rule(self, store: Store) -> None:
        other = a_rule("other")
        store.add_traces(map(a_trace, range(4)))
        store.register_rules(TASK, [RULE, other])
        store.add_votes(
            [a_vote(0), a_vote(1, label="bad"), a_vote(2, status="abstain"), a_vote(3, status="error")]
        )
        store.add_votes(
            [a_code_vote(3, rule=other, label="bad"), a_code_vote(2, rule=other, label="unheard of")]
        )
        table = store.vote_table(TASK, LABELS)
        assert table.trace_ids == tuple(f"trace-{n:05d}" for n in range(4))
        assert table.rules == (RULE, other)
        assert table.votes.dtype == np.int8
        assert table.votes.tolist() == [[0, -1], [1, -1], [-1, -1], [-1, 1]]
        assert dict(table.soft) == {}

    def test_is_empty_where_there_is_nothing(self, store: Store) -> None:
        table = store.vote_table(TASK, LABELS)
        assert table.votes.shape == (0, 0)
        store.add_traces([a_trace(1)])
        store.register_rules(TASK, [RULE])
        assert store.vote_table(TASK, LABELS).votes.tolist() == [[-1]]

    def test_holds_distributions_in_the_order_of_the_labels(self, store: Store) -> None:
        store.add_traces(map(a_trace, range(3)))
        store.register_rules(TASK, [a_rule("first"), RULE])
        store.add_votes(
            [a_vote(1, distribution={"bad": 0.9, "good": 0.1}), a_vote(2, distribution={"good": 1.0})]
        )
        (column, soft), *others = store.vote_table(TASK, LABELS).soft.items()
        assert (column, others) == (1, [])
        np.testing.assert_array_equal(soft, [[np.nan, np.nan], [0.1, 0.9], [1.0, 0.0]])

    def test_merges_samples_by_majority_and_abstains_on_a_tie(self, store: Store) -> None:
        store.add_traces(map(a_trace, range(4)))
        store.register_rules(TASK, [RULE])
        cast = {0: ["bad", "good", "bad"], 1: ["good", "bad"], 2: ["bad"]}
        store.add_votes(
            [a_vote(n, label=label, sample=s) for n, some in cast.items() for s, label in enumerate(some)]
        )
        store.add_votes([a_vote(2, status="abstain", sample=1)])
        table = store.vote_table(TASK, LABELS)
        assert table.votes[:, 0].tolist() == [1, -1, 1, -1]
        np.testing.assert_allclose(table.soft[0], [[1 / 3, 2 / 3], [0.5, 0.5], [0, 1], [np.nan, np.nan]])


class TestLabelVotes:
    def test_say_of_each_label_whether_it_applies_or_nothing(self, store: Store) -> None:
        other = a_rule("other")
        store.add_traces(map(a_trace, range(3)))
        store.register_rules(TASK, [RULE, other])
        said = {"good": 1.0, "bad": 0.25}
        store.add_votes(
            [
                replace(a_vote(0), label="good", distribution=said),
                replace(a_vote(1), label="none", distribution={"bad": 0.0}),
                a_vote(2, status="abstain"),
                replace(a_code_vote(2, rule=other), label="good", distribution={"good": 1.0, "gone": 1.0}),
            ]
        )
        table = store.label_votes(TASK, LABELS)
        nothing = float("nan")
        expected = {(0, 0): [1.0, 0.25], (1, 0): [nothing, 0.0], (2, 1): [1.0, nothing]}
        assert table.trace_ids == tuple(f"trace-{n:05d}" for n in range(3))
        assert table.rules == (RULE, other)
        for row in range(3):
            for column in range(2):
                cell = expected.get((row, column), [nothing, nothing])
                np.testing.assert_array_equal(table.applies[row, column, :2], cell)

    def test_are_empty_where_there_is_nothing(self, store: Store) -> None:
        assert store.label_votes(TASK, LABELS).applies.shape == (0, 0, len(LABELS))


class TestMoneyAndFailures:
    def test_every_attempt_is_added_up(self, store: Store, reopen: Open) -> None:
        assert store.spent() == Spent(0.0, 0)
        store.add_votes(
            [a_vote(1)], [an_attempt(a_vote(1), cause="rate_limit", usd=0.0), an_attempt(a_vote(1))]
        )
        store.add_votes([], [an_attempt(a_vote(9), cause="timeout", usd=0.5)])
        again = reopen()
        assert again.spent() == Spent(usd=0.75, calls=3)
        assert again.cost(TASK) == {("asks_again", "default"): Spent(0.75, 3)}
        assert again.cost("other") == {}

    def test_answers_paid_for_are_found_by_request(self, store: Store) -> None:
        votes = [
            a_vote(1),
            a_vote(2, status="abstain"),
            a_vote(3, status="malformed"),
            a_vote(4, status="error"),
        ]
        store.add_votes([*votes, a_code_vote(5)])
        assert store.spent() == Spent(0.0, 0)  # a read, after which nothing is unseen
        found = store.answers([vote.request or "" for vote in votes] + ["0" * 32])
        assert found == {votes[0].request: votes[0].raw, votes[1].request: votes[1].raw}
        assert store.answers([]) == {}

    def test_dead_letters_are_listed_and_dropped_so_that_they_are_pending_again(
        self, store: Store, reopen: Open
    ) -> None:
        store.add_traces(map(a_trace, range(4)))
        store.register_rules(TASK, [RULE])
        store.add_votes([a_vote(0), a_vote(1, status="malformed"), a_vote(2, status="error"), a_vote(3)])
        letters = [
            (dead.trace_id, dead.rule, dead.status, dead.cause, dead.text)
            for dead in store.dead_letters(TASK)
        ]
        assert letters == [
            ("trace-00001", "asks_again", "malformed", "no_label", "yes"),
            ("trace-00002", "asks_again", "error", "timeout", None),
        ]
        listed = [dead.cause for dead in store.dead_letters(TASK)]
        assert store.count_dead_letters(TASK) == {cause: listed.count(cause) for cause in listed}
        assert store.drop_dead_letters(TASK) == 2
        assert store.drop_dead_letters(TASK) == 0
        again = reopen()
        assert list(again.dead_letters(TASK)) == []
        assert {trace.trace_id for trace, _ in again.pending(RULE)} == {"trace-00001", "trace-00002"}


class TestResults:
    def table(self, *, n: int, fitted_at: datetime = START) -> PosteriorTable:
        probs = np.random.default_rng(n).dirichlet((1, 1), n)
        ids = tuple(f"trace-{number:05d}" for number in reversed(range(n)))
        return PosteriorTable(TASK, LABELS, ids, probs, fitted_at, "em", {"ll": [-1.5, None], "ok": True})

    def test_the_last_fit_stands(self, store: Store, reopen: Open) -> None:
        assert store.posteriors(TASK) is None
        for table in (self.table(n=7), self.table(n=3, fitted_at=datetime(2026, 5, 5, tzinfo=UTC))):
            store.save_posteriors(table)
        found = reopen().posteriors(TASK)
        assert found is not None
        np.testing.assert_array_equal(found.probs, table.probs)
        assert replace(found, probs=table.probs) == table

    def test_an_empty_fit_is_a_fit(self, store: Store) -> None:
        store.save_posteriors(self.table(n=0))
        found = store.posteriors(TASK)
        assert found is not None
        assert found.probs.shape == (0, 2)

    def test_a_new_queue_replaces_what_nobody_decided(self, store: Store, reopen: Open) -> None:
        def pick(number: int, lane: str) -> Pick:
            return Pick(f"trace-{number:05d}", TASK, lane, 0.5, 0.25, "why", {"entropy": 0.5})

        store.save_queue(TASK, [pick(3, "audit"), pick(1, "uncertain"), pick(2, "uncertain")])
        assert list(store.queue(TASK)) == [pick(3, "audit"), pick(1, "uncertain"), pick(2, "uncertain")]
        store.add_review(a_review(1))
        store.add_review(a_review(2))
        store.add_review(a_review(2, event="undo", action="undo", label=None, undoes="event-2"))
        assert list(store.queue(TASK, undecided=True)) == [pick(3, "audit"), pick(2, "uncertain")]
        store.save_queue(TASK, [pick(1, "audit"), pick(4, "audit")])
        again = reopen()
        assert list(again.queue(TASK)) == [pick(1, "uncertain"), pick(4, "audit")]
        assert list(again.queue(TASK, undecided=True)) == [pick(4, "audit")]

    def test_small_values_are_kept_by_name(self, store: Store, reopen: Open) -> None:
        assert store.state("report") is None
        store.save_state("report", {"a": [1, None, "x"]})
        store.save_state("report", {"a": [2]})
        assert reopen().state("report") == {"a": [2]}


class TestPeople:
    def test_a_review_event_counts_once_and_in_order_of_arrival(self, store: Store, reopen: Open) -> None:
        events = [
            a_review(9),
            a_review(1),
            a_review(1, event="later", action="skip", label=None, blind=False),
        ]
        assert [store.add_review(event) for event in events] == [True, True, True]
        assert store.add_review(events[0]) is False
        again = reopen()
        assert again.add_review(events[1]) is False
        assert list(again.reviews(TASK)) == events
        assert list(again.reviews("other")) == []

    def test_one_event_sent_by_many_threads_is_new_once(self, store: Store) -> None:
        new: list[bool] = []
        threads = [
            threading.Thread(target=lambda: new.append(store.add_review(a_review(1)))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(new) == [False] * 7 + [True]

    def test_gold_is_keyed_by_trace_task_reviewer_and_time(self, store: Store) -> None:
        gold = Gold("t", TASK, "good", "ada", START, blind=False, lane="audit", probability=0.5)
        more = [
            replace(gold, reviewer="bob"),
            replace(gold, timestamp=START + timedelta(days=1), label="bad"),
        ]
        assert store.add_gold([gold, gold, *more]) == Added(3, 1)
        assert store.add_gold([gold]) == Added(0, 1)
        assert sorted(store.gold(TASK), key=str) == sorted([gold, *more], key=str)
        with pytest.raises(InputError, match="t: "):
            store.add_gold([replace(gold, label="bad")])


def test_closing_twice_does_nothing_and_a_closed_store_says_so(store: Store) -> None:
    from promptlabel.errors import StoreError

    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.count_traces()
    with pytest.raises(StoreError, match="closed"):
        store.add_votes([a_vote(1)])
