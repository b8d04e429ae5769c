"""Text of one's own: rows of files, folders, pages; whole documents on one side of the split."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import data_of
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from running import fit, genlab_here, looks

from genlab.data.sources import documents
from genlab.data.sources.documents import Place, Rest, cut_at, held, in_parts, parts_of, sides
from genlab.data.sources.text import KJV, TextFile, WikiText2
from genlab.data.sources.text_folder import HtmlFolder, TextFolder
from genlab.data.tokenizers import BPE

ROWS = [{"text": f"document {i} says {i * i}", "book": f"b{i % 9}", "n": i} for i in range(60)]


def jsonl(path: Path, rows=ROWS) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def split_of(path: Path, **given) -> tuple[list[str], list[str]]:
    train, val = TextFile(path=str(path), **given).documents()
    return list(train), list(val)


def test_a_text_of_ones_own_in_three_lines(tmp_path) -> None:
    path = jsonl(tmp_path / "mine.jsonl")
    words = ["model=autoregressive", "net=gru", "net.width=16", "data=text_file"]
    run = fit([*words, f"data.path={path}", "data.block=16"], tmp_path / "run")
    assert looks(run)[-1] < looks(run)[0]
    done = genlab_here("sample", f"run={run}", "num=2", "prompt=document")
    assert done.returncode == 0, done.stderr
    assert "document" in next((run / "samples").rglob("*.txt")).read_text()


def test_every_format_gives_the_same_documents_on_the_same_side(tmp_path) -> None:
    pyarrow, parquet = map(pytest.importorskip, ("pyarrow", "pyarrow.parquet"))
    first = split_of(jsonl(tmp_path / "a.jsonl"))
    assert sorted(first[0] + first[1]) == sorted(r["text"] for r in ROWS)
    assert len(first[1]) == 6 and not {*first[0]} & {*first[1]}
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("n,text\n" + "".join(f"{r['n']},{r['text']}\n" for r in ROWS))
    for name in ("a.jsonl.gz", "a.parquet", "a.csv"):
        assert split_of(tmp_path / name) == first
    shuffled = split_of(jsonl(tmp_path / "b.jsonl", ROWS[::-1] + ROWS[:9]))
    assert {*shuffled[1]} == {*first[1]}  # neither order nor copies move a document


def test_groups_and_a_column_split_keep_what_belongs_together(tmp_path) -> None:
    book = {r["text"]: r["book"] for r in ROWS}
    train, val = split_of(jsonl(tmp_path / "a.jsonl"), group="book", val_fraction=0.3)
    books = [{book[text] for text in side} for side in (train, val)]
    assert len(books[1]) == 3 and not books[0] & books[1]
    rows = [{**r, "split": ("train", "test", "validation")[r["n"] % 3]} for r in ROWS]
    train, val = split_of(jsonl(tmp_path / "b.jsonl", rows))
    assert val == [r["text"] for r in ROWS if r["n"] % 3 == 2] and len(train) == 20
    rows = [{**r, "split": ("train", "test")[r["n"] % 2]} for r in ROWS]
    assert len(split_of(jsonl(tmp_path / "c.jsonl", rows))[1]) == 30
    rows = [{**r, "split": "train"} for r in ROWS]  # as a file of one split says in every row
    assert len(split_of(jsonl(tmp_path / "d.jsonl", rows))[1]) == 6


@pytest.mark.parametrize(
    ("rows", "given", "says"),
    [
        (ROWS, {"column": "body"}, r"^data\.column=body: row 1 of a\.jsonl has no such column,"
         r" but text, book, n: write data\.column=text$"),
        (ROWS, {"group": "who"}, r"^data\.group=who: row 1 of a\.jsonl .* write data\.group=text$"),
        ([*ROWS[:3], {"title": "x"}], {}, r"^data\.column=text: row 4 .* but title"),
        (ROWS, {"column": "n"}, r"^data\.column=n: row 1 of a\.jsonl has a number, where a text"),
        (ROWS[:1], {}, r"has one document .* give two or more .* of one long text in a \.txt"),
        ([{"text": None}, {"text": " "}], {}, r"has no document with anything in it"),
        ([{**r, "split": f"s{r['n']}"} for r in ROWS * 3][:3] +
         [{"text": "x", "split": f"s{i}"} for i in range(200)], {}, r"split has over 100 values"),
    ],
)  # fmt: skip
def test_rows_that_are_no_documents_are_told_in_one_line(tmp_path, rows, given, says) -> None:
    with pytest.raises(ValueError, match=says) as error:
        split_of(jsonl(tmp_path / "a.jsonl", rows), **given)
    assert "\n" not in str(error.value)


def test_half_a_surrogate_is_no_character(tmp_path) -> None:
    rows = [{"text": "a \ud800 b"}, {"text": "fine"}, {"text": "\U0001f600"}]
    train, val = split_of(jsonl(tmp_path / "a.jsonl", rows), val_fraction=0.4)
    found = train + val
    assert sorted(found)[0].startswith("a ") and [t.encode() for t in found]


@given(st.lists(st.text(max_size=3), min_size=2, max_size=40), st.floats(0.01, 0.99))
def test_every_key_is_on_one_side_and_neither_is_empty(keys, share) -> None:
    if len({*keys}) < 2:
        return
    side = sides(map(Place, keys), share, "x")
    found = {key: side(Place(key)) for key in keys}
    assert {*found.values()} == {"train", "val"}
    again = sides(map(Place, keys[::-1]), share, "x")
    assert found == {key: again(Place(key)) for key in keys}


WORDS = st.text(alphabet=" \n\r\tab'é1.\u00a0\x1c\U0001f600", max_size=60)


@settings(deadline=None)
@given(text=WORDS, size=st.integers(1, 9))
@example(text="\r\r\n", size=1)  # the CR before is no half of a line's end that was read before
def test_a_text_in_parts_is_the_text_and_its_ids(tmp_path_factory, text, size) -> None:
    path = tmp_path_factory.mktemp("t") / "a.txt"
    path.write_text(text, newline="", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "PART", size)
        patch.setattr(documents, "LONGEST", 100)
        parts = list(parts_of(path, "x"))
        again = list(in_parts(text, size))
    assert "".join(parts) == text.replace("\r\n", "\n") and "".join(again) == text
    assert [isinstance(part, Rest) for part in again] == [i > 0 for i in range(len(again))]
    for whole, cut in ((text.replace("\r\n", "\n"), parts), (text, again)):
        ids = [i for part in cut for i in LEARNT.encode(part)]
        assert ids == LEARNT.encode(whole).tolist()


LEARNT = BPE(size=300)
LEARNT.fit(["a a  a\n a\n\nab 'b's 1.1 éé\n é" * 5], [], vocab=None)


def test_a_cut_lies_between_two_words() -> None:
    assert cut_at("one two\nthree four") == len("one two\n")
    assert cut_at("one two three") == len("one two")
    assert cut_at("one  two\n\nthree\n four") == 0 == cut_at("one") == cut_at("")


def test_held_documents_are_whole_and_not_too_many() -> None:
    assert held(["ab", Rest("c"), "d"], 4) == ["abc", "d"] and held(["ab", "é"], 3) is None


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "texts"
    for i in range(20):
        path = root / f"part{i % 3}" / f"{i}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Note {i}\nand what it says")
    (root / "part0" / ".hidden.md").write_text("hidden")
    (root / "notes.doc").write_text("another ending")
    return root


def test_the_files_of_a_folder_are_documents(folder, tmp_path) -> None:
    (folder / "latin.md").write_bytes(b"caf\xe9")
    (tmp_path / "secret.md").write_text("outside")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "copy.md").write_text((folder / "part0" / "0.md").read_text())
    source = TextFolder(root=str(folder), patterns=["*.md"], val_fraction=0.2)
    train, val = map(list, source.documents())
    assert len(train) + len(val) == 21 and 3 <= len(val) <= 5 and not {*train} & {*val}
    assert "outside" not in "".join(train + val)
    assert source.notes() == [
        "2 files left out: link.md (leads out of the folder), latin.md (no UTF-8)"
    ]
    with pytest.raises(ValueError, match=r"has no file called \*\.tex: write 'data\.patterns="):
        TextFolder(root=str(folder), patterns=["*.tex"]).documents()
    with pytest.raises(FileNotFoundError, match=r"data\.root=.*gone: there is no such folder"):
        TextFolder(root=str(folder / "gone"), patterns=["*.md"]).documents()


def test_folders_train_and_val_are_the_splits(tmp_path) -> None:
    for i, name in enumerate(("train", "train", "valid")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{i}.txt").write_text(f"text {i}")
    train, val = TextFolder(root=str(tmp_path), patterns=["*.txt"]).documents()
    assert list(train) == ["text 0", "text 1"] and list(val) == ["text 2"]


def test_pages_keep_their_main_text_and_say_what_is_lost(tmp_path) -> None:
    pytest.importorskip("trafilatura")
    body = "This paragraph is long enough to be the main text of the page, and it says so. " * 4
    for i in range(4):
        (tmp_path / f"{i}.html").write_text(
            f"<html><head><title>t</title></head><body><nav><a href='/'>Home menu</a></nav>"
            f"<article><h1>Page {i}</h1><p>{body}{i}</p></article><script>steal()</script>"
            "<footer>all rights reserved</footer></body></html>"
        )
    (tmp_path / "empty.html").write_text("<html><body></body></html>")
    source = HtmlFolder(root=str(tmp_path), val_fraction=0.25)
    train, val = map(list, source.documents())
    assert len(train) + len(val) == 4 and all("long enough" in text for text in train + val)
    assert not [t for t in train + val if "steal" in t or "Home menu" in t or "<" in t]
    kept, left_out = source.notes()
    assert "of the letters of 5 pages kept" in kept and "empty.html (no main text)" in left_out


def test_a_folder_given_as_a_file_says_what_to_write(folder) -> None:
    with pytest.raises(ValueError, match=r"or data=text_folder data\.root=FOLDER for all of them"):
        data_of.text_file(folder).load()


def test_the_bible_is_held_out_by_book(data_root) -> None:
    if not (data_root / "kjv" / "kjv.jsonl.gz").is_file():
        pytest.skip("GENLAB_DATA has no kjv/kjv.jsonl.gz")
    train, val = KJV().documents()
    assert len(train) + len(val) == 1189 and not {*train} & {*val}
    assert 20 < len(val) < 250 and (train + val)[0].startswith("In the beginning")


def test_wikitexts_files_are_its_splits(data_root) -> None:
    if not (data_root / "wikitext2-small" / "valid.txt.gz").is_file():
        pytest.skip("GENLAB_DATA has no wikitext2-small/valid.txt.gz")
    (train,), (val,) = WikiText2().documents()
    assert len(train.split()) == 213886 and len(val.split()) == 241211
