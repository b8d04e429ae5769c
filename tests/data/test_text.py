"""Windows against nanoGPT's rule, held-out windows against the text itself, bits/byte, errors."""

from __future__ import annotations

import gzip
import math
import sysconfig
from pathlib import Path

import data_of
import pytest
import torch
from running import settled

from genlab.data.sources.text import Shakespeare, StdlibCode, TextSource, clusters
from genlab.data.text import Text, Windows
from genlab.data.tokenizers import BPE, Bytes, Characters
from genlab.metrics.language import Corpus
from genlab.runs.say.errors import UserError

TEXT = "".join(f"line {i}: all work and no play, Grüße\n" for i in range(200))


class Documents(TextSource):
    """Documents given outright."""

    train_documents = ["first document", "the second", "x" * 40]
    val_documents = ["held out one", "held out two!"]

    def documents(self):
        return self.train_documents, self.val_documents


def make(source=None, **given):
    settings = {
        "tokenizer": Bytes(), "block": 8, "vocab": 257, "batch_size": 4, "seed": 0, **given,
    }  # fmt: skip
    data = Text(source=source or Documents(), **settings)
    data.prepare()
    data.load()
    return data


def of_file(path, **given):
    data = data_of.text_file(path, **given)
    data.load()
    return data


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, newline="")
    return path


def test_windows_are_nanogpts_pairs_of_input_and_target() -> None:
    tokens = torch.randint(1, 60, (1000,))
    windows = Windows(torch.cat([torch.zeros(1).long(), tokens]).short(), block=16, stride=1)
    assert len(windows) == 1000 - 16 + 1
    at = torch.tensor([1, 17, 984])
    batch = windows.batch(at)
    inputs = torch.cat([batch["start"][:, None], batch["x"][:, :-1]], 1)
    for i, j in enumerate((at - 1).tolist()):  # nanoGPT: x = data[j : j+T], y = data[j+1 : j+1+T]
        assert torch.equal(inputs[i], tokens[j : j + 16])
        assert torch.equal(batch["x"][i], tokens[j + 1 : j + 17])
    first = windows.batch(torch.tensor([0]))
    assert first["start"].item() == 0 and torch.equal(first["x"][0], tokens[:16])
    assert batch["x"].dtype == batch["start"].dtype == torch.int64


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 50])
def test_held_out_windows_hold_every_token_once(length) -> None:
    tokens = torch.randint(1, 60, (length,))
    windows = Windows(torch.cat([torch.zeros(1).long(), tokens]).byte(), block=8, stride=8)
    assert len(windows) == math.ceil(length / 8)
    seen, starts = [], []
    for i in range(len(windows)):
        batch = windows.batch(torch.tensor([i]))
        mask = batch.get("mask", torch.ones(1, 8, dtype=torch.bool))
        seen.append(batch["x"][mask])
        starts.append(batch["start"].item())
    assert torch.equal(torch.cat(seen), tokens)
    assert starts == [0, *tokens[7:-1:8].tolist()][: len(windows)]
    assert ("mask" in batch) == (length % 8 > 0)


def test_documents_stand_between_boundaries() -> None:
    data = make()
    stream = data.train.stream.long()
    assert data.tokenizer.decode(stream.numpy()) == "<|end|>" + "<|end|>".join(
        Documents.train_documents
    )
    assert data.train.stream.dtype == torch.int16
    every = data.train.batch(torch.arange(len(data.train)))
    begins = every["start"] == 0
    starts = [data.tokenizer.decode(x.numpy())[:3] for x in every["x"][begins]]
    assert starts == [d[:3] for d in Documents.train_documents]


def test_bytes_per_token_turns_nats_into_bits_per_byte() -> None:
    data = make()
    documents = Documents.val_documents
    targets = len("".join(documents)) + 1  # the boundary between the two
    assert data.bytes_per_token("val") == len("".join(documents)) / targets
    # a model that gives each target one of 256 equal chances pays 8 bits for each
    bits = math.log(256) / math.log(2) / data.bytes_per_token("val")
    assert bits == pytest.approx(8 * targets / len("".join(documents)))
    seen = sum(
        b.get("mask", torch.ones_like(b["x"], dtype=torch.bool)).sum() for b in data.val_batches()
    )
    assert seen == targets


@pytest.mark.parametrize("tokenizer, vocab", [(Bytes, 257), (Characters, 42), (BPE, 280)])
def test_bytes_per_token_counts_bytes_whatever_the_tokenizer(path, tokenizer, vocab) -> None:
    if tokenizer is Characters:
        vocab = 1 + len(set(TEXT))
    data = of_file(path, tokenizer=tokenizer(), vocab=vocab)
    train, val = TEXT[: int(len(TEXT) * 0.9)], TEXT[int(len(TEXT) * 0.9) :]
    for split, text, windows in (("train", train, data.train), ("val", val, data.val)):
        total = data.bytes_per_token(split) * windows.targets
        assert total == pytest.approx(len(text.encode()))
        assert data.tokenizer.decode(windows.stream[1 : 1 + windows.targets].numpy()) == text


def test_offsets_are_even_over_the_text(path) -> None:
    data = of_file(path, batch_size=7000)
    ids = data.train_ids(3)
    counts = (ids * 10 // len(data.train)).bincount(minlength=10)
    assert len(counts) == 10 and (counts - 700).abs().max() < 5 * math.sqrt(700)
    assert data.epoch_examples == math.ceil(data.train.targets / 8)


def test_decode_leaves_out_what_follows_the_end() -> None:
    data = make()
    x = torch.zeros(2, 8).long()
    x[0, :3] = data.encode_prompt("abc")
    x[1, 2] = data.encode_prompt("d")
    assert data.decode(x) == ["abc", "<|end|><|end|>d"]


def test_samples_are_decoded_without_the_files(path) -> None:
    vocab = 1 + len(set(TEXT))
    data = of_file(path, tokenizer=Characters(), vocab=vocab)
    fresh = data_of.text_file("gone", tokenizer=Characters(), vocab=vocab)
    fresh.load_state(data.state())
    x = data.train_batch(0)["x"]
    assert fresh.decode(x) == data.decode(x)
    assert fresh.encode_prompt("play").tolist() == data.encode_prompt("play").tolist()


def test_looks_go_on_from_the_prompt() -> None:
    cond, given = make(default_prompt="ab").looks(3)
    assert cond is None and given["x"].tolist() == [[98, 99]] * 3 and given["mask"].all()
    cond, given = make().looks(3)
    held_out = "".join(make().decode(make().val_batches()[0]["x"]))
    assert cond is None and given["x"].shape == (3, 1) and given["mask"].all()
    assert all(text in held_out for text in make().decode(given["x"]))


@pytest.mark.parametrize(
    "given, says",
    [
        ({"vocab": 256}, "data.vocab=256 but Documents has 257: write data.vocab=257"),
        ({"block": 100}, "data.block=100 but train has 66 tokens in all: write data.block=33"),
        ({"block": 0}, "data.block=0: write a whole number"),
        ({"shape": [9]}, "data.shape=[9]: text has [data.block], here [8]"),
        ({"num_classes": 3}, "data.num_classes=3: text has none; write data.num_classes=null"),
        ({"levels": 256}, "data.levels=256: text has none"),
        ({"tokenizer": BPE(), "vocab": 5000}, "data.vocab=5000 but Documents has 2"),
        ({"tokenizer": Characters(), "vocab": 99}, "data.vocab=99 but Documents has"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(given, says) -> None:
    with pytest.raises(ValueError) as error:
        make(**given)
    assert str(error.value).startswith(says) and "\n" not in str(error.value)


def test_a_prompt_that_cannot_be_spelt_is_named(path) -> None:
    vocab = 1 + len(set(TEXT))
    data = of_file(path, tokenizer=Characters(), vocab=vocab)
    with pytest.raises(ValueError, match=r"^prompt='Ж': the character 'Ж'"):
        data.encode_prompt("Ж")


def test_files_that_are_no_text(tmp_path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"fine so far, then caf\xe9 and more")
    with pytest.raises(ValueError, match=r"latin\.txt is not UTF-8 text: byte 21 is 0xe9;"):
        of_file(path)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        of_file(tmp_path / "none.txt")
    with pytest.raises(ValueError, match=r"write data\.path=FILE"):
        of_file(None)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"latin\.txt is empty: name a file"):
        of_file(path)
    with pytest.raises(ValueError, match=r"data\.val_fraction=1"):
        of_file(path, val_fraction=1)


def test_line_ends_of_windows_are_line_ends(tmp_path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT.encode())
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    mine, theirs = of_file(tmp_path / "a.txt"), of_file(tmp_path / "b.txt")
    assert "\n" in TEXT and torch.equal(mine.train.stream, theirs.train.stream)


def test_a_text_file_is_cut_where_the_fraction_says(path) -> None:
    data = of_file(path, val_fraction=0.25)
    text = data.tokenizer.decode(data.train.stream[1:].numpy())
    assert text == TEXT[: int(len(TEXT) * 0.75)]


def test_the_stdlib_is_split_by_file() -> None:
    data = make(StdlibCode(limit=20), block=64)
    train, val = data.source.documents()
    assert len(train) <= 20 and len(val) <= 20 and not set(train) & set(val)
    root = Path(sysconfig.get_paths()["stdlib"])
    names = {p.relative_to(root).as_posix() for p in data.source.sources()}
    assert "argparse.py" in names and len(names) > 300
    assert not [n for n in names if {"test", "tests", "site-packages"} & set(n.split("/"))]
    x = data.train_batch(0)["x"]
    assert x.shape == (4, 64) and len(data.decode(x)) == 4


def test_texts_that_share_lines_are_in_one_split() -> None:
    shared = "word for word " * 4 + "\n" + "and the next line " * 3
    apart = "a line of one's own, as long as those that are shared between files\n" * 2
    texts = {"a": f"x\n{shared}\ny", "b": apart, "c": f"{shared}\nz", "d": "short\nlines"}
    assert clusters(texts) == {"a": "a", "b": "b", "c": "a", "d": "d"}


@pytest.mark.slow
def test_hardly_any_held_out_code_stands_in_train() -> None:
    train, val = StdlibCode().documents()
    assert len("".join(val)) > 400_000
    assert Corpus("\n".join(train)).copied_share(val, 200) < 0.005  # 0.185 of files split alone


def test_generated_tables_are_left_out() -> None:
    root = Path(sysconfig.get_paths()["stdlib"])
    tops = {p.relative_to(root).parts[0] for p in StdlibCode().sources()}
    assert not tops & {"encodings", "pydoc_data"}


def test_the_vocabulary_is_found_where_it_is_not_given(path) -> None:
    data = of_file(path, tokenizer=Characters())
    assert {"vocab": data.vocab} == data.found() == {"vocab": 1 + len(set(TEXT))}
    for tokenizer, vocab in (("bytes", 257), ("characters", 1 + len(set(TEXT)))):
        words = ["data=text_file", f"data.path={path}", "model=autoregressive"]
        settings = settled([*words, f"tokenizer={tokenizer}"])
        assert settings["data"]["vocab"] == settings["model"]["net"]["vocab"] == vocab
    settings = settled([*words, "tokenizer=bpe", "data.vocab=300"])
    assert settings["model"]["net"]["vocab"] == 300
    settings = settled([*words, "tokenizer=bpe", "tokenizer.size=270"])
    assert settings["model"]["net"]["vocab"] == 270
    with pytest.raises(UserError, match=r"^tokenizer=bpe: data=digits takes none; leave it out"):
        settled(["tokenizer=bpe"])


def test_shakespeares_vocabulary_is_known_unread(monkeypatch) -> None:
    monkeypatch.setattr(Shakespeare, "documents", None)
    for tokenizer, vocab in ((Characters(), 66), (Bytes(), 257)):
        text = Text(source=Shakespeare(), tokenizer=tokenizer, block=8, batch_size=1, seed=0)
        assert text.found() == {"vocab": vocab}


def test_real_shakespeare(data_root) -> None:
    data = make(Shakespeare(), tokenizer=Characters(), vocab=66, block=64, batch_size=12)
    text = (data_root / "tinyshakespeare" / "input.txt").read_text()
    assert (data.train.targets, data.val.targets) == (1003854, 111540)  # as nanoGPT prints them
    assert data.bytes_per_token("val") == 1.0
    assert len(data.val) == math.ceil(111540 / 64)
    assert data.decode(data.train.batch(torch.tensor([0]))["x"]) == [text[:64]]
    last = data.val.batch(torch.tensor([len(data.val) - 1]))
    assert last["mask"].sum() == 111540 % 64
    assert data.decode(last["x"][:, : 111540 % 64]) == [text[-(111540 % 64) :]]


def test_a_packed_file_is_told_as_such(tmp_path) -> None:
    path = tmp_path / "book.txt.gz"
    path.write_bytes(gzip.compress(b"In the beginning"))
    with pytest.raises(ValueError, match="is a packed file: unpack it first"):
        of_file(path)
