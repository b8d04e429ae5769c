"""A stranger's files in `genlab prepare`: what is hostile is left out by name, all else is kept."""

from __future__ import annotations

import csv
import gzip
import io
import json
import resource
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from strange_files import _png

from genlab.data import records
from genlab.runs.prepare import prepare_command
from genlab.runs.say.errors import UserError

parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("soundfile")
GOOD = 8  # honest examples beside each


def text(folder: Path) -> None:
    lines = [json.dumps({"text": f"An honest text, the one of number {i}."}) for i in range(GOOD)]
    (folder / "good.jsonl").write_text("\n".join(lines))


def table(folder: Path) -> None:
    lines = [json.dumps({"text": f"row {i}", "n": i, "x": i / 3}) for i in range(GOOD)]
    (folder / "good.jsonl").write_text("\n".join(lines))


def image(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for i in range(GOOD):
        Image.fromarray(
            draw.integers(0, 256, (10, 10, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
        ).save(folder / f"good{i}.png")


def sound(folder: Path) -> None:
    import soundfile

    draw = np.random.default_rng(0)
    for i in range(GOOD):
        soundfile.write(folder / f"good{i}.wav", draw.normal(0, 0.1, 4000), 8000)


def packed(contents: bytes) -> bytes:
    return gzip.compress(contents)


def lying_parquet(change: Callable[[bytes], bytes]) -> bytes:
    import pyarrow

    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": [f"a text of {i}" for i in range(2000)]}), file)
    return change(file.getvalue())


def claims_rows(data: bytes) -> bytes:
    """The number of rows in the footer (2000, a zigzag varint of thrift) made another."""
    at = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
    return data[:at] + data[at:].replace(b"\xa0\x1f", b"\xff\x7f") if at > 0 else data


def wide_parquet(length: int, rows: int = 4096) -> bytes:
    """A few kilobytes that are one long text in thousands of rows: 80 GB of texts of 20 MB."""
    import pyarrow

    file = io.BytesIO()
    one = pyarrow.array(["x" * length])
    cells = pyarrow.DictionaryArray.from_arrays(np.zeros(rows, np.int32), one)
    parquet.write_table(pyarrow.table({"text": cells}), file, compression="zstd")
    return file.getvalue()


def wav(rate: int = 8000, channels: int = 1, claimed: int = 8, bits: int = 16, data=b"\0" * 8):
    head = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, bits)
    body = b"WAVE" + b"fmt " + struct.pack("<I", 16) + head
    body += b"data" + struct.pack("<I", claimed) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flac_claiming() -> bytes:
    """A STREAMINFO that claims 2^36 - 1 samples."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.zeros(4000), 8000, format="FLAC")
    data = bytearray(file.getvalue())
    at = 8 + 13  # after fLaC and the block's head: the last 36 bits of 8 bytes are the samples
    data[at] |= 0x0F
    data[at + 1 : at + 5] = b"\xff" * 4
    return bytes(data)


def png_of(width: int, height: int) -> bytes:
    return _png(width, height)


def still_png() -> bytes:
    """40 megapixels of one colour in 50 kilobytes, and cut off before its end."""
    file = io.BytesIO()
    Image.new("L", (6000, 6000), 7).save(file, "PNG")
    return file.getvalue()[:-300]


@dataclass(frozen=True)
class File:
    """A hostile file: what it is called, what it holds, and why it is left out."""

    name: str
    kind: Callable[[Path], None]
    make: Callable[[], bytes]
    says: str
    rows: int = 1  # of the ledger


LONG = b'{"text": "' + b"x" * 3_000_000 + b'"}\n'
BOMB = packed(b'{"text": "' + b"x" * 60_000_000 + b'"}\n')
LINES = packed((b'{"text": "' + b"x" * 900_000 + b'"}\n') * 40)
DEEP = b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
FILES = [
    File(name, kind, make, says, rows)
    for kind in (text, table)
    for name, make, says, rows in (
        ("line.jsonl", lambda: LONG + b'{"no": 1', "over 1,048,576 bytes; cut it into records", 2),
        ("bomb.jsonl.gz", lambda: BOMB, "over 1,048,576 bytes", 2),
        ("lines.jsonl.gz", lambda: LINES, "over 200 times its size", 0),
        ("deep.jsonl", lambda: DEEP, "nested deeper than 50", 1),
        ("torn.jsonl.gz", lambda: packed(b'{"text": "x"}\n' * 9)[:-20], "it cannot be read", 0),
        ("no.jsonl.gz", lambda: b'{"text": "no gzip"}', "it cannot be read", 1),
        ("list.jsonl", lambda: b"[1, 2]\n3\n", "a record is a mapping", 2),
        ("nul.jsonl", lambda: b"\0" * 500_000, "no JSON", 1),
        ("torn.parquet", lambda: lying_parquet(lambda d: d[: len(d) // 2]), "no Parquet file", 1),
        ("claims.parquet", lambda: lying_parquet(claims_rows), "no Parquet file", 0),
        ("footer.parquet", lambda: lying_parquet(
            lambda d: d[:-8] + struct.pack("<I", 2**31 - 1) + d[-4:]), "no Parquet file", 1),
        ("text.parquet", lambda: b"PAR1" + b"\xff" * 400 + b"PAR1", "no Parquet file", 1),
    )
] + [
    File("quotes.csv", text, lambda: b'text\n"a"x\n', "no csv", 1),
    File("cells.csv", text, lambda: b"text\na,b,c\n", "3 cells, where the first line names 1", 1),
    File("utf.csv", text, lambda: b"text\n\xff\xfe\n", "no UTF-8 text", 1),
    File("utf.txt", text, lambda: b"\xff\xfe\x00bad", "no UTF-8 text", 1),
    File("bomb.png", image, lambda: png_of(50_000, 50_000), "pixels", 1),
    File("wide.png", image, lambda: png_of(2**31 - 1, 1), "", 1),
    File("still.png", image, still_png, "no image that can be read", 1),
    File("empty.png", image, lambda: b"", "no image that can be read", 1),
    File("other.png", image, lambda: b"%!PS-Adobe\n", "no image that can be read", 1),
    File("svg.png", image, lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image", 1),
    File("lies.wav", sound, lambda: wav(claimed=2**30), "its header claims 1,073,741,824", 1),
    File("rate.wav", sound, lambda: wav(rate=2**31 - 1), "samples a second", 1),
    File("channels.wav", sound, lambda: wav(channels=32_767), "no sound that can be read", 1),
    File("empty.wav", sound, lambda: wav(claimed=0, data=b""), "it holds no samples", 1),
    File("nodata.wav", sound, lambda: b"RIFF\x04\0\0\0WAVE", "it has no samples", 1),
    File("list.wav", sound, lambda: b"RIFF\xff\xff\xff\x7fWAVELIST" + b"\xff" * 4, "no samples", 1),
    File("other.wav", sound, lambda: b"MThd\0\0\0\6", "it begins as no sound file", 1),
    File("claims.flac", sound, flac_claiming, "its header claims", 1),
    File("torn.ogg", sound, lambda: b"OggS" + b"\0" * 60, "no sound that can be read", 1),
    File("noise.mp3", sound, lambda: b"\xff\xfb" + bytes(range(256)) * 4, "no sound", 1),
]  # fmt: skip


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


RULES = {"text": ["rules.length.least=1", "~rules.language", "~rules.markup", "~rules.prose",
                  "~rules.near", "~rules.ratio"]}  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.kind.__name__}: {f.name}")
def test_a_hostile_file_is_left_out_by_name_and_the_rest_kept(
    file: File, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(records, "LINE", 2**20)
    raw, kind = tmp_path / "raw", file.kind.__name__
    raw.mkdir()
    file.kind(raw)
    (raw / file.name).write_bytes(file.make())
    before, began = peak(), time.process_time()
    prepare_command(
        [f"kind={kind}", f"from={raw}", f"to={tmp_path / 'set'}", "processes=1",
         *RULES.get(kind, []), *(["~rules.sharp"] if kind == "image" else [])]
    )  # fmt: skip
    assert time.process_time() - began < 20 and peak() - before < 2**30
    dataset = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert dataset["raws"] == dataset["kept"] + sum(dataset["left_out"].values())
    rows = parquet.read_table(tmp_path / "set" / "ledger.parquet").to_pylist()
    refused = [r for r in rows if r["rule"] == "readable"]
    assert refused and all(r["id"].startswith(file.name) for r in refused), rows
    assert any(file.says in r["why"] for r in refused), refused
    assert file.rows in (0, len(refused))
    good = {"text": "text", "table": "text"}.get(kind)
    assert dataset["kept"] >= GOOD and (good or dataset["kept"] == GOOD)
    assert not any("\n" in r["why"] for r in rows)


def test_a_parquet_file_of_one_long_text_is_read_within_bounds(tmp_path, monkeypatch) -> None:
    """As a stranger's file would have it: what each row has is bounded, and what a batch has."""
    monkeypatch.setattr(records, "LINE", 2**20)
    (tmp_path / "long.parquet").write_bytes(wide_parquet(20_000_000))
    assert (tmp_path / "long.parquet").stat().st_size < 2**17
    before = peak()
    with pytest.raises(ValueError, match="row 1: over 1,048,576 bytes"):
        list(records.read_records(tmp_path / "long.parquet"))
    (tmp_path / "many.parquet").write_bytes(wide_parquet(500_000))
    assert sum(len(r["text"]) for r in records.read_records(tmp_path / "many.parquet")) == 2.048e9
    assert peak() - before < 2**29


FORMULAS = ["=1+1", "=HYPERLINK(\"http://x\")", "@SUM(1)", "+1+cmd|' /C calc'!A0", "-2+3",
            "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a\tb", 'say "x", y',
            ]  # fmt: skip


def test_a_formula_and_a_script_stay_text(tmp_path: Path) -> None:
    """What is written is what was read; the page of what was changed shows it as text."""
    with (tmp_path / "raw.csv").open("w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["n", "cell<script>", "mail"])
        out.writerows([i, cell, f"{cell} a{i}@example.org"] for i, cell in enumerate(FORMULAS * 2))
    prepare_command(["kind=table", f"from={tmp_path / 'raw.csv'}", f"to={tmp_path / 'set'}",
                     "processes=1", "rules.split.val=0"])  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "set" / "rows.csv").open(newline="")))
    assert [r["cell<script>"] for r in rows] == FORMULAS * 2
    assert all("<EMAIL>" in r["mail"] for r in rows)
    page = (tmp_path / "set" / "report.html").read_text()
    assert "&lt;EMAIL&gt;" in page and "cell&lt;script&gt;" in page
    assert "<script>alert" not in page and "<img src=x" not in page


@pytest.mark.parametrize("kind", ["image", "sound", "text", "table"])
def test_an_archive_that_climbs_is_named_and_nothing_of_it_written(kind: str, tmp_path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.zip", "w") as z:
        z.writestr("../../climbed.png", _png(8, 8, rows=8))
    with pytest.raises(UserError, match=r"x\.zip") as refused:
        prepare_command([f"kind={kind}", f"from={tmp_path / 'x.zip'}", f"to={tmp_path / 'set'}"])
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.rglob("climbed*")) and not (tmp_path.parent / "climbed.png").exists()


def test_names_of_files_lead_nowhere(tmp_path: Path) -> None:
    """A name in the metadata that is a path names no file; nothing is written beside the set."""
    raw = tmp_path / "raw"
    raw.mkdir()
    image(raw)
    rows = [{"file_name": "../../etc/passwd", "label": "x"}, {"file_name": "good0.png", "label":
            "../../../b", "split": "../../c"}]  # fmt: skip
    (raw / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prepare_command(["kind=image", f"from={raw}", f"to={tmp_path / 'set'}", "processes=1",
                     "~rules.sharp"])  # fmt: skip
    inside = {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("*")}
    assert inside == {"raw", "set"}
    assert {p.name for p in (tmp_path / "set").iterdir() if p.is_dir()} <= {"train", "val", "test"}
