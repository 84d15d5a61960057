"""The journal of batches: what was written stays open until it is collected, whatever breaks in between."""

from __future__ import annotations

from promptlabel.pipeline.voting.batch_log import Batch, BatchLog, Slot
from promptlabel.store.contract import Spent

BATCH = Batch("b-1", "tone", "judge", "/chat/completions", 2, 0.5)
SLOTS = [Slot("r1", "first", "t1", 0), Slot("r2", "first", "t2", 1, 2)]


def written(folder, *batches):
    log = BatchLog(folder)
    folder.mkdir(exist_ok=True)
    for batch in batches:
        log.requests_file(batch.name).write_bytes(b"{}\n")
        log.written(batch, SLOTS)
    return log


def test_a_batch_is_open_from_the_writing_to_the_collecting(tmp_path):
    log = written(tmp_path / "batches", BATCH)
    assert BatchLog(log.folder).open == {"b-1": BATCH}
    assert list(BatchLog(log.folder).slots("b-1")) == SLOTS
    log.submitted("b-1", "batch-9")
    assert BatchLog(log.folder).open["b-1"].runner == "batch-9"
    log.collected("b-1")
    log.close()
    assert BatchLog(log.folder).open == {}


def test_open_batches_have_money_and_calls_set_aside(tmp_path):
    log = written(tmp_path / "batches", BATCH, Batch("b-2", "tone", "judge", "/completions", 3, 0.25))
    assert BatchLog(log.folder).reserved == Spent(0.75, 5)
    log.collected("b-1")
    assert log.reserved == Spent(0.25, 3)


def test_a_torn_last_line_is_as_if_it_was_never_written(tmp_path):
    log = written(tmp_path / "batches", BATCH)
    log.submitted("b-1", "batch-9")
    log.close()
    [journal] = (tmp_path / "batches").glob("[0-9]*.jsonl")
    journal.write_bytes(journal.read_bytes()[:-5])
    again = BatchLog(log.folder)
    assert again.open["b-1"].runner is None
    again.submitted("b-1", "batch-9")
    again.close()
    assert BatchLog(log.folder).open["b-1"].runner == "batch-9"


def test_replies_are_whole_or_not_there(tmp_path):
    log = written(tmp_path / "batches", BATCH)
    assert log.received("b-1", b"one\ntwo").read_bytes() == b"one\ntwo"
    assert not list((tmp_path / "batches").glob("*.part"))


def test_a_project_without_batches_gets_no_folder(tmp_path):
    log = BatchLog(tmp_path / "batches")
    log.close()
    assert log.reserved == Spent(0, 0)
    assert not (tmp_path / "batches").exists()
