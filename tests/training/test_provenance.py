"""Chains of labels: what comes back to the model that is trained is found over any number of cycles, nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import shortest_path

from promptlabel.training.provenance import (
    ExportRecord,
    Origin,
    Students,
    chain_to,
    missing_reviews,
    shares_over_cycles,
)


def export(
    name: str, *origins: Origin, at: str = "2026-11-01", rows: int = 10, human: int = 1
) -> ExportRecord:
    return ExportRecord(name, name, at, ("tone",), (), origins, rows, human)


STUDENT = Origin("student", "smollm")
STUDENTS = Students.of([STUDENT])


@pytest.mark.parametrize(
    ("voter", "chain"),
    [
        (STUDENT, ("vote of student", "the model being trained")),
        (Origin("bigger", "smollm"), ("vote of bigger", "of the family smollm, as the model being trained")),
        (Origin("judge", "gpt"), None),
        (
            Origin("heir", "qwen", ("c1",)),
            ("vote of heir", "trained on c1", "votes of student in it", "the model being trained"),
        ),
        (
            Origin("grandchild", "llama", ("c2",)),
            ("vote of grandchild", "trained on c2", "votes of heir in it", "trained on c1", "votes of student in it",
             "the model being trained"),
        ),
        (Origin("pupil", "qwen", ("clean",)), None),
    ],
)  # fmt: skip
def test_the_chain_is_told_step_by_step(voter: Origin, chain: tuple[str, ...] | None) -> None:
    exports = {
        "c1": export("c1", STUDENT, Origin("judge", "gpt")),
        "c2": export("c2", Origin("heir", "qwen", ("c1",))),
        "clean": export("clean", Origin("judge", "gpt")),
    }
    assert chain_to(STUDENTS, voter, exports) == chain


def test_models_that_taught_each_other_end_the_search() -> None:
    one, other = Origin("one", "a", ("by other",)), Origin("other", "b", ("by one",))
    exports = {"by one": export("by one", one), "by other": export("by other", other)}
    assert chain_to(STUDENTS, one, exports) is None
    assert chain_to(Students.of([other]), one, exports) is not None


MODELS = [f"m{number}" for number in range(6)]


@given(
    st.lists(st.tuples(st.sampled_from(MODELS), st.lists(st.sampled_from(MODELS), max_size=3)), max_size=8),
    st.sampled_from(MODELS),
    st.sampled_from(MODELS),
)
def test_a_chain_is_found_exactly_where_a_path_leads_to_the_student(
    trainings: list[tuple[str, list[str]]], voter: str, student: str
) -> None:
    trained_on = {
        model: tuple(f"e{i}" for i, (who, _) in enumerate(trainings) if who == model) for model in MODELS
    }
    origins = {model: Origin(model, model, trained_on[model]) for model in MODELS}
    exports = {
        f"e{i}": export(f"e{i}", *(origins[name] for name in teachers))
        for i, (_, teachers) in enumerate(trainings)
    }
    edges = np.zeros((len(MODELS), len(MODELS)))
    for who, teachers in trainings:
        edges[MODELS.index(who), [MODELS.index(teacher) for teacher in teachers]] = 1
    steps = shortest_path(edges, unweighted=True)[MODELS.index(voter), MODELS.index(student)]
    chain = chain_to(Students.of([origins[student]]), origins[voter], exports)
    assert (chain is not None) == np.isfinite(steps)
    assert chain is None or len(chain) == 2 + 2 * steps


def test_a_record_comes_back_from_json_as_it_was() -> None:
    made = ExportRecord(
        "x@1", "x", "2026-11-01", ("tone",), ("student",), (Origin("heir", "qwen", ("c1",)),), 10, 2,
        {"reason": 3}, {"asks/heir": ("a", "b")}, {"distinct_pairs": 0.5},
    )  # fmt: skip
    assert ExportRecord.read(made.record()) == made


@given(st.integers(0, 500), st.floats(0, 1), st.data())
def test_so_many_reviews_as_are_missing_lift_the_share_and_one_less_does_not(
    rows: int, floor: float, data: st.DataObject
) -> None:
    human = data.draw(st.integers(0, rows))
    missing = missing_reviews(rows, human, floor)
    assert human + missing >= floor * rows - 1e-9
    assert missing == 0 or human + missing - 1 < floor * rows


def test_cycles_are_listed_by_age() -> None:
    listed = shares_over_cycles([export("b", at="2026-12-01"), export("a", at="2026-11-01", human=5)])
    assert [(one["export"], one["human_share"]) for one in listed] == [("a", 0.5), ("b", 0.1)]
