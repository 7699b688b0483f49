"""Streams that come whole, and streams that do not: a cut one is never taken for whole."""

import hashlib
import io
import json

import httpx
import pyarrow as pa
import pytest

from roundtable.client import StreamCut

# Characters at which text is split into lines elsewhere.
ROWS = [{"judgment_id": f"j{n}", "rationale": "a\u2028b\u0085c" * n} for n in range(5)]
LINES = [json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in ROWS]
END = b'{"end": 5}\n'


class Body(httpx.SyncByteStream):
    """Blocks, and then perhaps what httpx raises where the connection is cut."""

    def __init__(self, *blocks, cut=False):
        self.blocks, self.cut = blocks, cut

    def __iter__(self):
        yield from self.blocks
        if self.cut:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def rows_of(make_client, body, content_type="application/x-ndjson"):
    def answer(request):
        return httpx.Response(200, stream=body, headers={"content-type": content_type})

    return make_client(answer).project("kitchen").judgments.rows()


def read_until_it_breaks(rows):
    came = []
    with pytest.raises(StreamCut) as caught:
        for row in rows:
            came.append(row)
    return came, str(caught.value)


def test_rows_come_whole_wherever_blocks_end(make_client):
    sent = []

    def answer(request):
        sent.append(request.url.params)
        text = b"".join(LINES) + END
        blocks = [text[n : n + 7] for n in range(0, len(text), 7)]
        return httpx.Response(200, stream=Body(*blocks))

    assert list(make_client(answer).project("kitchen").judgments.rows(batch="Herbs")) == ROWS
    assert dict(sent[0]) == {"batch": "Herbs", "format": "ndjson", "end": "true"}


@pytest.mark.parametrize(
    ("body", "whole_rows", "sentence"),
    [
        (Body(*LINES[:3], cut=True), 3, "peer closed"),
        (Body(*LINES[:3], LINES[3][:9], cut=True), 3, "peer closed"),
        # As where a proxy hid the cut.
        (Body(*LINES[:3]), 3, "its end is missing"),
        (Body(*LINES[:3], LINES[3][:9]), 3, "no end"),
        (Body(*LINES), 5, "its end is missing"),
        (Body(*LINES[:3], END), 3, "5 rows were sent, and 3 came"),
        (Body(), 0, "its end is missing"),
    ],
)
def test_lines_that_do_not_come_whole_are_said_to_be_cut(make_client, body, whole_rows, sentence):
    came, said = read_until_it_breaks(rows_of(make_client, body))
    assert came == ROWS[:whole_rows]
    assert sentence in said


@pytest.fixture
def arrow():
    """A stream of two batches, and where the first of them ends."""
    table = pa.Table.from_pylist(ROWS)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.slice(0, 2))
        boundary = sink.tell()
        writer.write_table(table.slice(2))
    return sink.getvalue(), boundary


ARROW = "application/vnd.apache.arrow.stream"


def test_a_table_comes_whole(make_client, arrow):
    text, _ = arrow
    body = Body(*[text[n : n + 11] for n in range(0, len(text), 11)])
    assert rows_of(make_client, body, ARROW).table().to_pylist() == ROWS


def test_an_empty_table_has_its_columns(make_client):
    schema = pa.schema([("judgment_id", pa.string())])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema):
        pass
    table = rows_of(make_client, Body(sink.getvalue()), ARROW).table()
    assert (table.num_rows, table.column_names) == (0, ["judgment_id"])


@pytest.mark.parametrize("where", ["between batches", "in a batch", "before the mark of the end"])
@pytest.mark.parametrize("is_told", [True, False])
def test_an_arrow_stream_that_ends_early_is_cut(make_client, arrow, where, is_told):
    text, boundary = arrow
    length = {"between batches": boundary, "in a batch": boundary + 40}.get(where, len(text) - 8)
    rows = rows_of(make_client, Body(text[:length], cut=is_told), ARROW)
    with pytest.raises(StreamCut):
        rows.table()
    # Arrow by itself takes an end between two batches for the end.
    if where != "in a batch":
        assert pa.ipc.open_stream(text[:length]).read_all().num_rows < 6


def test_a_file_is_there_when_all_of_it_is(make_client, tmp_path):
    content = bytes(range(256)) * 50
    sha256 = hashlib.sha256(content).hexdigest()
    bodies = iter([Body(content[:3000], cut=True), Body(content[:-1]), Body(content[:3000], content[3000:])])
    file = make_client(lambda request: httpx.Response(200, stream=next(bodies))).project("k").datasets.file(
        3, "train.parquet"
    )  # fmt: skip
    target = tmp_path / "train.parquet"
    with pytest.raises(StreamCut, match="broke off"):
        file.save(target, sha256=sha256)
    with pytest.raises(StreamCut, match="sha256"):
        file.save(target, sha256=sha256)
    assert not target.exists()
    assert file.save(target, sha256=sha256).read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]
