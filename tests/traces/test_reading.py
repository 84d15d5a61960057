"""Files in, traces, events and gold out; every fault listed at once with its place."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptlabel.errors import Fault, InputError
from promptlabel.records import Event, Gold, Message, Trace, trace_record
from promptlabel.traces.reading import MOST_LISTED, read_files

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HINT = "say with --mapping FILE where its fields are"
A_TIME = "must be a time (ISO 8601 such as 2026-01-31T09:30:00Z, or seconds or milliseconds since 1970)"


def written(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, bytes) else orjson.dumps(row) for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def read(*paths: Path) -> list[Trace | Event | Gold]:
    return list(read_files(paths))


def faults(*paths: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(*paths)
    folder = str(paths[0].parent) + "/"
    return [str(fault).replace(folder, "") for fault in caught.value.faults]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


class TestTheInterface:
    def test_a_full_trace(self, file: Path) -> None:
        row = {
            "trace_id": "t1", "timestamp": "2026-01-31T12:00:00Z", "input": "in", "output": "out",
            "messages": [{"role": "user", "content": "hi", "timestamp": "2026-01-31T13:00:00+01:00"}],
            "category": "c", "session_id": "s", "user_id": "u", "metadata": {"a": [1]},
        }  # fmt: skip
        said = (Message("user", "hi", NOON),)
        assert read(written(file, row)) == [Trace("t1", NOON, "in", "out", said, "c", "s", "u", {"a": [1]})]

    @pytest.mark.parametrize("key", ["input", "output"])
    def test_the_least_a_trace_needs(self, file: Path, key: str) -> None:
        assert read(written(file, {"trace_id": "t", key: ""})) == [Trace("t", **{key: ""})]

    def test_the_three_kinds_are_told_apart(self, file: Path) -> None:
        rows = [
            {"trace_id": "t", "output": "x"},
            {
                "trace_id": "t",
                "timestamp": "2026-01-31T12:00:00",
                "event": "rated",
                "value": 4,
                "screen": "home",
            },
            {
                "trace_id": "t",
                "task": "q",
                "label": "good",
                "reviewer": "ann",
                "timestamp": "2026-01-31 12:00",
            },
        ]
        assert read(written(file, *rows)) == [
            Trace("t", output="x"),
            Event("t", NOON, "rated", 4, {"screen": "home"}),
            Gold("t", "q", "good", "ann", NOON),
        ]

    def test_what_the_interface_has_no_key_for_is_kept_under_metadata(self, file: Path) -> None:
        [trace] = read(
            written(file, {"trace_id": "t", "input": "x", "model": "m", "n": 1, "metadata": {"n": 2}})
        )
        assert trace.metadata == {"model": "m", "n": 2}

    def test_keys_of_other_formats_beside_those_of_the_interface_are_metadata(self, file: Path) -> None:
        others = {"request": "r", "response": "r", "context": {}, "attributes": {}, "id": 1, "tags": []}
        assert read(written(file, {"trace_id": "t", "input": "x", **others})) == [
            Trace("t", input="x", metadata=others)
        ]

    def test_parts_and_tool_calls_become_text(self, file: Path) -> None:
        parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "u"}}]
        calls = [{"id": "1", "function": {"name": "f"}}]
        said = [
            {"role": "user", "content": parts},
            {"role": "assistant", "content": None, "tool_calls": calls},
        ]
        [trace] = read(written(file, {"trace_id": "t", "messages": said}))
        assert trace.messages[0].content == 'look\n{"type":"image_url","image_url":{"url":"u"}}'
        assert trace.messages[1].content == '{"id":"1","function":{"name":"f"}}'

    @pytest.mark.parametrize(
        "logged",
        [
            "2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "2026-01-31 12:00:00+00", "2026-01-31T07:00:00-05:00",
            1769860800, 1769860800.0, 1769860800000, 1769860800000000, 1769860800000000000, "1769860800",
        ],
    )  # fmt: skip
    def test_times_are_read_as_people_write_them(self, file: Path, logged: object) -> None:
        assert read(written(file, {"trace_id": "t", "input": "", "timestamp": logged})) == [
            Trace("t", NOON, "")
        ]

    @given(
        st.builds(
            Trace,
            trace_id=st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=9
            ),
            timestamp=st.none()
            | st.integers(0, 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
            input=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            messages=st.lists(st.builds(Message, st.sampled_from("ab"), st.just("x"))).map(tuple),
            metadata=st.dictionaries(st.sampled_from("abc"), st.integers(0, 9) | st.lists(st.booleans())),
        )
    )
    def test_a_trace_survives_writing_and_reading(
        self, tmp_path_factory: pytest.TempPathFactory, trace: Trace
    ) -> None:
        path = tmp_path_factory.mktemp("round") / "in.jsonl"
        assert read(written(path, trace_record(trace))) == [trace]


def test_a_row_of_no_known_format_is_told_what_it_has_and_what_reads_it(file: Path) -> None:
    assert faults(written(file, {"question": "x", "answer": "y"}, {"input": "x"})) == [
        f"in.jsonl:1: is in no format that is known (it has answer, question); {HINT}",
        "in.jsonl:2: trace_id: is required",
    ]


class TestFiles:
    ROWS = (
        {"trace_id": "t1", "input": "ä,\n\"b\"", "metadata": {"n": 1}},
        {"trace_id": "t2", "messages": [{"role": "user", "content": "hi"}], "timestamp": "2026-01-31T12:00:00Z"},
    )  # fmt: skip
    TRACES = (
        Trace("t1", input='ä,\n"b"', metadata={"n": 1}),
        Trace("t2", NOON, messages=(Message("user", "hi"),)),
    )

    def test_json_lines_with_blank_lines_and_a_byte_order_mark(self, file: Path) -> None:
        first, second = map(orjson.dumps, self.ROWS)
        file.write_bytes(b"\xef\xbb\xbf" + first + b"\r\n\r\n  \n" + second)
        assert read(file) == list(self.TRACES)

    def test_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "in.jsonl.gz"
        path.write_bytes(gzip.compress(b"\n".join(map(orjson.dumps, self.ROWS))))
        assert read(path) == list(self.TRACES)

    @pytest.mark.parametrize("options", [0, orjson.OPT_INDENT_2])
    def test_a_json_array(self, tmp_path: Path, options: int) -> None:
        path = tmp_path / "in.json"
        path.write_bytes(orjson.dumps(list(self.ROWS), option=options))
        assert read(path) == list(self.TRACES)

    def test_json_lines_in_a_file_named_json(self, tmp_path: Path) -> None:
        assert read(written(tmp_path / "in.json", *self.ROWS)) == list(self.TRACES)

    def test_one_indented_object(self, tmp_path: Path) -> None:
        path = tmp_path / "in.json"
        path.write_bytes(orjson.dumps(self.ROWS[0], option=orjson.OPT_INDENT_2))
        assert read(path) == [self.TRACES[0]]

    def test_csv(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, ["trace_id", "input", "messages", "metadata", "timestamp"])
            table.writeheader()
            for row in self.ROWS:
                flat = {k: v if isinstance(v, str) else orjson.dumps(v).decode() for k, v in row.items()}
                table.writerow(flat)
        assert read(path) == list(self.TRACES)

    def test_numbers_in_csv_are_values_of_events(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text("trace_id,timestamp,event,value\nt,2026-01-31T12:00:00Z,rated,4\n")
        assert read(path) == [Event("t", NOON, "rated", 4)]

    def test_parquet_with_typed_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "in.parquet"
        duckdb.sql(
            "SELECT 't' trace_id, TIMESTAMPTZ '2026-01-31 12:00:00+00' \"timestamp\", NULL::VARCHAR AS output,"
            " [{'role': 'user', 'content': 'hi', 'timestamp': NULL::TIMESTAMP}] messages, MAP {'n': 1} metadata"
        ).write_parquet(str(path))
        assert read(path) == [Trace("t", NOON, messages=(Message("user", "hi"),), metadata={"n": 1})]

    def test_patterns_and_several_files_each_once(self, tmp_path: Path) -> None:
        first = written(tmp_path / "a.jsonl", self.ROWS[0])
        written(tmp_path / "b.jsonl", self.ROWS[1])
        assert read(first, tmp_path / "*.jsonl") == list(self.TRACES)

    def test_a_file_whose_name_looks_like_a_pattern(self, tmp_path: Path) -> None:
        assert read(written(tmp_path / "a[1].jsonl", self.ROWS[0])) == [self.TRACES[0]]

    def test_an_empty_file_holds_nothing(self, file: Path) -> None:
        file.write_bytes(b"")
        assert read(file) == []

    def test_files_that_cannot_be_read(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken.jsonl.gz"
        broken.write_bytes(gzip.compress(orjson.dumps(self.ROWS[0]))[:-9])
        no_gzip = written(tmp_path / "no.jsonl.gz", self.ROWS[0])
        no_parquet = written(tmp_path / "no.parquet", self.ROWS[0])
        latin = tmp_path / "latin.csv"
        latin.write_bytes("trace_id,input\nt,ä\n".encode("latin-1"))
        wide = tmp_path / "wide.csv"
        wide.write_text("trace_id,input\nt,a,b\n")
        found = faults(broken, no_gzip, no_parquet, latin, wide)
        assert [line.split(":")[0] for line in found] == [
            p.name for p in (broken, no_gzip, no_parquet, latin, wide)
        ]

    def test_missing_files_are_all_named(self, tmp_path: Path) -> None:
        assert faults(tmp_path / "a.jsonl", tmp_path / "b*.jsonl") == [
            "a.jsonl: no such file",
            "b*.jsonl: no such file",
        ]

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        [fault] = faults(tmp_path)
        assert "is a folder" in fault


class TestFaults:
    def test_all_are_listed_at_once_with_line_and_key(self, file: Path) -> None:
        written(
            file,
            b"{oops",
            [1],
            {"input": "x"},
            {"trace_id": "t4"},
            {"trace_id": 5, "input": ["x"], "timestamp": "yesterday", "metadata": "m"},
            {"trace_id": "t6", "input": "a\0b"},
            b'{"trace_id": "t7", "input": "\\ud800"}',
            {"trace_id": "t8", "messages": [{"role": "user", "content": "x"}, {"content": 1}, "x"]},
            {"trace_id": "t9", "inputs": "x", "input": "x"},
            {"trace_id": "t10", "messages": "hi"},
            {"trace_id": "", "input": "x"},
            {"trace_id": "t12", "input": "x", "metadata": {"a": {"b": "\0"}}},
            {"trace_id": "t13", "event": "copied"},
            {
                "trace_id": "t14",
                "task": "q",
                "label": "good",
                "reviewr": "ann",
                "timestamp": True,
                "blind": "no",
            },
            b'{"trace_id": "t15", "input": "\xff"}',
        )
        assert faults(file) == [
            "in.jsonl:1:2: not JSON: unexpected character, expected a string key",
            "in.jsonl:2: must be a JSON object, is a list",
            "in.jsonl:3: trace_id: is required",
            "in.jsonl:4: input: one of input, output and messages is required",
            "in.jsonl:5: trace_id: must be text, is the number 5",
            f"in.jsonl:5: timestamp: {A_TIME}, is 'yesterday'",
            "in.jsonl:5: input: must be text, is a list",
            "in.jsonl:5: metadata: must be an object, is text",
            "in.jsonl:6: input: holds a NUL character, which no text can hold (remove it)",
            "in.jsonl:7:30: not JSON: a lone surrogate, which no text can hold",
            "in.jsonl:8: messages[1].role: is required",
            "in.jsonl:8: messages[1].content: must be text or a list of parts, is the number 1",
            "in.jsonl:8: messages[2]: must be an object, is text",
            "in.jsonl:9: inputs: unknown key (did you mean 'input'?)",
            "in.jsonl:10: messages: must be a list of messages, is text",
            "in.jsonl:11: trace_id: must have 1 to 512 characters, has 0",
            "in.jsonl:12: metadata: holds a NUL character, which no text can hold (remove it)",
            "in.jsonl:13: timestamp: is required",
            "in.jsonl:14: reviewr: unknown key (did you mean 'reviewer'?)",
            "in.jsonl:14: reviewer: is required",
            f"in.jsonl:14: timestamp: {A_TIME}, is True",
            "in.jsonl:14: blind: must be true or false, is text",
            "in.jsonl:15:1: not JSON: its bytes are no UTF-8",
        ]  # fmt: skip

    def test_sound_records_are_yielded_before_the_faults_are_raised(self, file: Path) -> None:
        written(file, {"trace_id": "t", "input": "x"}, b"oops")
        stream = read_files([file])
        assert next(stream) == Trace("t", input="x")
        with pytest.raises(InputError):
            next(stream)

    def test_texts_of_megabytes_are_refused(self, file: Path) -> None:
        in_one = {"trace_id": "t1", "input": "x" * 10_000_000}
        in_many = {"trace_id": "t2", "messages": [{"role": "user", "content": "x" * 1_000_000}] * 5}
        fits = {"trace_id": "t3", "input": "x" * 4_999_999}
        assert faults(written(file, in_one, in_many, fits)) == [
            "in.jsonl:1: input: the trace holds 10,000,000 characters; the limit is 5,000,000",
            "in.jsonl:2: input: the trace holds 5,000,000 characters; the limit is 5,000,000",
        ]

    def test_data_nested_deeper_than_a_store_can_hold(self, file: Path) -> None:
        deep = b"[" * 200 + b"]" * 200
        row = b'{"trace_id": "t", "input": "x", "metadata": {"a": ' + deep + b"}}"
        assert faults(written(file, row)) == ["in.jsonl:1: metadata: is nested deeper than 64 levels"]

    def test_a_flood_of_faults_is_counted(self, file: Path) -> None:
        found = faults(written(file, *[b"oops"] * 1234))
        assert len(found) == MOST_LISTED + 1
        assert found[-1] == "and 1,034 more faults"

    def test_rows_of_arrays_and_tables_are_counted(self, tmp_path: Path) -> None:
        array = tmp_path / "a.json"
        array.write_bytes(orjson.dumps([{"trace_id": "t", "input": ""}, {"trace_id": "u"}, 7]))
        assert faults(array) == [
            "a.json: row 2 input: one of input, output and messages is required",
            "a.json: row 3: must be a JSON object, is the number 7",
        ]


KEYS = (
    "trace_id", "input", "messages", "metadata", "event", "label", "task", "content", "role", "timestamp",
    "resourceSpans", "scopeSpans", "spans", "traceId", "spanId", "attributes", "key", "value", "arrayValue", "values",
    "context", "span_id", "context.trace_id", "context.span_id", "gen_ai.input.messages", "llm.input_messages",
    "request", "response", "choices", "message", "id", "userId", "output", "scores", "name", "parts",
)  # fmt: skip
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["", "x", "\0", "[1", '[{"role": "a"}]']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=20,
)


class TestAnyInput:
    @given(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=8))
    @settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
    def test_is_read_or_refused_with_its_line(
        self, tmp_path_factory: pytest.TempPathFactory, row: dict[str, object]
    ) -> None:
        path = written(tmp_path_factory.getbasetemp() / "any.jsonl", row)
        refused: tuple[Fault, ...] = ()
        try:
            read(path)
        except InputError as error:
            refused = error.faults
        assert all(fault.line == 1 and fault.message for fault in refused)

    @pytest.mark.parametrize(
        "row",
        [
            b'{"trace_id": "t", "messages": [{"role": "u", "content": %s}]}',
            b'{"request": {"messages": [{"role": "u", "content": %s}]}, "response": {}}',
            b'{"id": "t", "userId": "u", "input": %s}',
        ],
    )
    def test_bottomless_nesting_is_refused(self, file: Path, row: bytes) -> None:
        assert faults(written(file, row % (b"[" * 1000 + b"]" * 1000)))


class TestRepeats:
    def test_the_same_content_again_is_no_fault(self, file: Path) -> None:
        first = {"trace_id": "t", "input": "x", "timestamp": "2026-01-31T12:00:00Z"}
        again = {"timestamp": 1769860800, "input": "x", "trace_id": "t"}
        assert len(read(written(file, first, again))) == 2

    def test_other_content_names_both_lines(self, tmp_path: Path) -> None:
        first = written(
            tmp_path / "a.jsonl", {"trace_id": "u", "input": "x"}, {"trace_id": "t", "input": "x"}
        )
        second = written(
            tmp_path / "b.jsonl", {"trace_id": "t", "input": "y"}, {"trace_id": "t", "input": "x"}
        )
        [fault] = faults(first, second)
        assert fault == "b.jsonl:1: trace_id: the same key, with other content, as a.jsonl:2"

    def test_two_labels_of_one_reviewer_at_one_moment(self, file: Path) -> None:
        gold = {"trace_id": "t", "task": "q", "reviewer": "ann", "timestamp": "2026-01-31T12:00:00Z"}
        found = faults(written(file, {**gold, "label": "good"}, {**gold, "label": "bad"}))
        assert found[0].startswith("in.jsonl:2: ")

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=12))
    def test_agrees_with_a_dictionary(
        self, tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
    ) -> None:
        path = tmp_path_factory.mktemp("repeats") / "in.jsonl"
        written(path, *[{"trace_id": key, "input": text} for key, text in pairs])
        seen: dict[str, str] = {}
        expected = [n for n, (key, text) in enumerate(pairs, 1) if seen.setdefault(key, text) != text]
        found = [int(line.split(":")[1]) for line in faults(path)] if expected else read(path) and []
        assert found == expected
