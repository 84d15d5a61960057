import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.labelmodel.text_evidence import (
    BUCKETS,
    checksum,
    in_words,
    learn_evidence,
    read_corpus,
    study_rows,
)

TEXTS = [f"refund my money please {i}" for i in range(60)] + [f"thank you it works {i}" for i in range(60)]
LABELS = np.repeat([0, 1], 60)


def test_words_of_a_class_speak_for_it():
    corpus, vectorizer = read_corpus(TEXTS)
    evidence = learn_evidence(corpus, np.eye(2)[LABELS])
    new = in_words(["please refund this", "thank you so much, it works"], vectorizer)
    assert evidence.of(new).argmax(axis=1).tolist() == [0, 1]


def test_no_text_is_judged_by_a_table_that_saw_its_label():
    corpus, _ = read_corpus(TEXTS)
    changed = np.eye(2)[LABELS]
    changed[7] = [0.0, 1.0]
    before, after = learn_evidence(corpus, np.eye(2)[LABELS]), learn_evidence(corpus, changed)
    bucket = corpus.buckets[7]
    assert np.allclose(before.tables[bucket], after.tables[bucket], rtol=1e-12)
    assert not np.allclose(before.tables[(bucket + 1) % BUCKETS], after.tables[(bucket + 1) % BUCKETS])


def test_copies_of_a_text_share_a_bucket():
    corpus, _ = read_corpus(["the same words", "other words", "the same words"])
    assert corpus.buckets[0] == corpus.buckets[2]


def test_words_that_do_not_tell_classes_apart_weigh_nothing():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), 8)) for _ in range(400)]
    corpus, _ = read_corpus(texts)
    assert learn_evidence(corpus, np.eye(2)[rng.integers(0, 2, 400)]).scale < 0.3


@given(st.text())
def test_every_text_has_a_bucket(text):
    assert 0 <= checksum(text) % BUCKETS < BUCKETS


def test_a_word_never_seen_is_known_by_its_pieces():
    corpus, vectorizer = read_corpus(TEXTS)
    new = in_words(["refunding refunded", "thankful thanks"], vectorizer)
    assert learn_evidence(corpus, np.eye(2)[LABELS]).of(new).argmax(axis=1).tolist() == [0, 1]


def test_pieces_of_words_are_left_out_of_very_long_texts(monkeypatch):
    whole, _ = read_corpus(TEXTS)
    monkeypatch.setattr("promptlabel.labelmodel.text_evidence.MOST_CHARACTERS", 100)
    assert read_corpus(TEXTS)[0].words.shape[1] < whole.words.shape[1] / 2


def test_signs_are_words():
    corpus, _ = read_corpus(["?!", "...", "🙂"])
    assert (np.diff(corpus.words.indptr) > 0).all()


def test_all_labelled_rows_are_studied_and_the_sample_follows_the_text(monkeypatch):
    monkeypatch.setattr("promptlabel.labelmodel.text_evidence.MOST_TEXTS", 20)
    rows = study_rows(TEXTS, np.array([3, 90]))
    assert {3, 90} <= set(rows.tolist())
    assert 20 <= len(rows) <= 22
    backwards = study_rows(TEXTS[::-1], np.array([119 - 3, 119 - 90]))
    assert {TEXTS[row] for row in rows} == {TEXTS[::-1][row] for row in backwards}
