"""Text larger than memory: batches as in memory, a file that is whole, bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import data_of
import numpy as np
import pytest
import torch

from genlab.data import remembered, token_files, tokenizers
from genlab.data.sources import documents
from genlab.data.sources.text import TextFile
from genlab.data.text import Text
from genlab.data.tokenizers import BPE, Bytes, Characters, Tokenizer

LIMIT = 20_000  # bytes of a split that are held; the texts here are ten times as large
LINES = [f"line {i}: all work and no play makes Grüße {i * i}\n" for i in range(5000)]


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(documents, "PART", 5000)
    monkeypatch.setattr(token_files, "AT_ONCE", 8000)
    monkeypatch.setattr(TextFile, "large", LIMIT)


class Nibbles(Tokenizer):
    """Of a class that does not say that it joins: each document is encoded whole."""

    vocab = 17

    def encode(self, text: str) -> np.ndarray:
        data = np.frombuffer(text.encode(), np.uint8).astype(np.int64)
        return np.stack([data >> 4, data & 15], axis=1).ravel() + 1

    def piece(self, ids: np.ndarray) -> str:
        return ""


def text(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("".join(LINES))
    return path


def rows(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    cut = ["".join(LINES[i : i + 40]) for i in range(0, len(LINES), 40)]
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in cut))
    return path


def loaded(path: Path, tokenizer: Tokenizer, in_memory: int) -> Text:
    data = data_of.text_file(path, tokenizer=tokenizer, in_memory=in_memory, block=32)
    data.load()
    return data


def files() -> list[Path]:
    folder = token_files.cache().parent / "tokens"
    return sorted(folder.glob("*.tokens"))


@pytest.mark.parametrize("make", [text, rows])
@pytest.mark.parametrize(
    "tokenizer", [Bytes, Characters, lambda: BPE(size=300), Nibbles], ids=lambda t: t.__name__
)
def test_batches_are_those_in_memory(tmp_path, make, tokenizer) -> None:
    path = make(tmp_path)
    held, mapped = (loaded(path, tokenizer(), size) for size in (10**9, LIMIT))
    assert len(files()) == 1 + (mapped._bytes["val"] > LIMIT)
    assert held.train.stream.dtype == mapped.train.stream.dtype
    for k in range(20):
        mine, theirs = held.train_batch(k), mapped.train_batch(k)
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for mine, theirs in zip(held.val_batches(), mapped.val_batches(), strict=True):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert held.fingerprint() == mapped.fingerprint() and held._bytes == mapped._bytes
    assert held.describe() == mapped.describe() and held.state() == mapped.state()


def test_byte_pairs_learnt_from_parts_are_those_of_the_whole(monkeypatch) -> None:
    states = []
    for size in (10**9, 500):
        monkeypatch.setattr(tokenizers, "READ", size)
        monkeypatch.setattr(remembered, "recall", lambda path: None)
        learnt = BPE(size=400)
        learnt.fit(["".join(LINES)], [], vocab=None)
        states.append(learnt.state())
    assert states[0] == states[1]


def test_a_file_is_written_once(tmp_path, monkeypatch) -> None:
    path = text(tmp_path)
    loaded(path, Bytes(), LIMIT)
    before = [(p.name, p.stat().st_mtime_ns) for p in files()]
    monkeypatch.setattr(token_files, "_write", None)
    loaded(path, Bytes(), LIMIT)
    assert before == [(p.name, p.stat().st_mtime_ns) for p in files()] and before
    monkeypatch.undo()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:6000] + bytes([data[6000] ^ 1]) + data[6001:],
        lambda data: b"{" * 4096 + data[4096:],
        lambda data: data.replace(b'"num": ', b'"num": 1', 1)[: len(data)],
        lambda data: data.replace(b'"version": 1', b'"version": 2', 1),
        lambda data: b"",
    ],
    ids=["cut", "bit", "head", "num", "version", "empty"],
)
def test_what_is_damaged_or_foreign_is_written_anew(tmp_path, damage) -> None:
    path = text(tmp_path)
    first = loaded(path, Bytes(), LIMIT).fingerprint()
    for file in files():
        file.write_bytes(damage(file.read_bytes()))
    again = loaded(path, Bytes(), LIMIT)
    assert again.fingerprint() == first
    path.write_text("".join(LINES[::-1]))
    assert loaded(path, Bytes(), LIMIT).fingerprint() != first


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch) -> None:
    class Full(Bytes):
        def encode_many(self, texts):
            raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match=r"No space left on device\): make room there, or set"):
        loaded(text(tmp_path), Full(), LIMIT)
    folder = token_files.cache().parent / "tokens"
    assert [p.suffix for p in folder.iterdir()] == [".lock"]


@pytest.mark.parametrize("contents", ["x" * 300_000, b"fine " * 9000 + b"\xe9 and more " * 9000])
def test_large_files_that_are_no_text(tmp_path, monkeypatch, contents) -> None:
    monkeypatch.setattr(documents, "LONGEST", 50_000)
    path = tmp_path / "a.txt"
    path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    says = r"a word of over" if isinstance(contents, str) else r"not UTF-8 text: byte 45000 is 0xe9"
    with pytest.raises(ValueError, match=says):
        loaded(path, Bytes(), LIMIT)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_text(tmp_path) -> None:
    """What loading 200 MB adds at its peak; pages of files, which the system may drop, left out."""
    path = tmp_path / "large.txt"
    with path.open("w") as f:
        for _ in range(1000):
            f.write("".join(LINES))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert after - before < 150, (before, after)  # MB


PROGRAM = """
import sys, threading, time
from genlab.data.sources.text import TextFile
from genlab.data.text import Text
from genlab.data.tokenizers import Bytes

def own():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1000

source = TextFile(path=sys.argv[1])
data = Text(source=source, tokenizer=Bytes(), block=64, batch_size=8, seed=0, in_memory=2**22)
before = most = own()
def watch():
    global most
    while True:
        most = max(most, own())
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
data.load()
[data.train_batch(k) for k in range(100)]
print(before, most)
"""


# --- files that lie with the text -----------------------------------------------------------------


def put(path: Path, tokenizer: Tokenizer) -> None:
    for split in TextFile(path=str(path)).documents():
        token_files.put(path.parent / "tokens", split, tokenizer)


def test_tokens_beside_a_text_are_read_and_none_are_made(tmp_path, monkeypatch) -> None:
    path = rows(tmp_path)
    before = loaded(path, Bytes(), LIMIT * 100)
    put(path, Bytes())

    def refuse(*args):
        raise AssertionError("tokenised again")

    monkeypatch.setattr(Bytes, "encode", refuse)
    after = loaded(path, Bytes(), LIMIT * 100)
    for k in (0, 7):
        a, b = (d.train.batch(d.train_ids(k)) for d in (before, after))
        assert torch.equal(a["x"], b["x"]) and torch.equal(a["start"], b["start"])
    assert before.fingerprint() == after.fingerprint()
    assert before.bytes_per_token() == after.bytes_per_token()
    assert "anew" not in after.describe()


def test_tokens_of_another_text_or_tokenizer_are_made_anew_and_that_is_said(tmp_path) -> None:
    path = rows(tmp_path)
    put(path, Bytes())
    found = loaded(path, Characters(), LIMIT * 100)
    assert "tokens has tokens of another text or tokenizer: tokenised anew" in found.describe()
    path.write_text(path.read_text().replace("work", "play"))
    found = loaded(path, Bytes(), LIMIT * 100)
    assert "tokenised anew" in found.describe()
    assert "work" not in found.decode(found.train.batch(torch.arange(4))["x"])[0]


def test_a_strangers_tokens_have_known_ids(tmp_path) -> None:
    """A file that says that it is of this text and tokenizer, with an id that there is not."""

    class Wrong(Bytes):
        def encode(self, text: str) -> np.ndarray:
            return super().encode(text) + 200

    path = rows(tmp_path)
    Wrong.__module__, Wrong.__qualname__ = Bytes.__module__, Bytes.__qualname__
    put(path, Wrong())
    (train, _), folder = TextFile(path=str(path)).documents(), tmp_path / "tokens"
    assert token_files.opened(token_files._file_of(token_files._made_of(train, Bytes()), folder),
                              token_files._made_of(train, Bytes())) is not None  # fmt: skip
    assert token_files.beside(folder, train, Bytes()) is None
    assert int(loaded(path, Bytes(), LIMIT * 100).train.stream.max()) < 257
