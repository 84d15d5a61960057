import numpy as np
import pytest

from promptlabel.errors import InputError
from promptlabel.labelmodel.validation import (
    checked_balance,
    checked_counts,
    checked_gold,
    checked_random,
    checked_soft,
    checked_text,
    checked_votes,
)

EVEN = [0.5, 0.5]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda: checked_votes([0, 1], 2), r"votes: has 1 dimensions; give \[traces, rules\]"),
        (lambda: checked_votes(np.empty((3, 0), int), 2), "no columns"),
        (lambda: checked_votes([[0.5]], 2), "holds float64"),
        (lambda: checked_votes([[0, 2], [3, 0]], 2), r"2 values are outside -1..1, the first 2 at \[0, 1\]"),
        (lambda: checked_votes([[-2]], 2), "outside"),
        (lambda: checked_gold([0], 2, 2), r"gold: has shape \(1,\); the votes have 2 rows"),
        (lambda: checked_gold([0, 5], 2, 2), "the first 5 at"),
        (lambda: checked_text(["a"], 2), "has 1 strings"),
        (lambda: checked_text(["a", None], 2), "row 1 is NoneType"),
        (lambda: checked_random([0, 1], 2), "give bool"),
        (lambda: checked_counts([1, 0], 2), "above zero"),
        (lambda: checked_balance([1.0], 2), "give 2 shares"),
        (lambda: checked_balance([0.9, 0.3], 2), "sums to 1.2"),
        (lambda: checked_balance([1.0, 0.0], 2), "above zero"),
        (lambda: checked_balance(None, 1), "n_classes: is 1"),
        (lambda: checked_soft({5: [EVEN]}, (1, 2), 2), r"soft\[5\]: there is no such column"),
        (lambda: checked_soft({0: [[0.5, 0.4]]}, (1, 2), 2), "neither a distribution nor all NaN"),
        (lambda: checked_soft({0: [[1.0, np.nan]]}, (1, 2), 2), "row 0"),
        (lambda: checked_soft({0: [EVEN, EVEN]}, (1, 2), 2), "has shape"),
    ],
)
def test_bad_input_is_a_value_error_that_says_what_is_right(check, said):
    with pytest.raises(ValueError, match=said) as raised:
        check()
    assert isinstance(raised.value, InputError)


def test_all_faults_come_at_once():
    with pytest.raises(InputError) as raised:
        checked_balance([2.0, 0.0], 2)
    assert len(raised.value.faults) == 2


def test_good_input_passes():
    assert checked_votes([[0, -1]], 2).tolist() == [[0, -1]]
    assert checked_votes(np.empty((0, 2), int), 2).shape == (0, 2)
    assert checked_gold(None, 2, 2).tolist() == [-1, -1]
    assert checked_text(None, 2) is None
    assert checked_random(None, 2).all()
    assert checked_balance(None, 2) is None
    assert list(checked_soft({0: [EVEN]}, (1, 1), 2)) == [0]
