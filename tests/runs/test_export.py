"""An export: readable by others, and a card that says what it is."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections import Counter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from running import fit

import genlab
from genlab.runs.export import classes, export
from genlab.runs.say.summary import print_summary

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    run = fit(["net.width=8", "budget.examples=32"], tmp_path_factory.mktemp("export") / "run")
    found = {"metrics": {"frechet_distance": 12.5}, "floor": {"frechet_distance": 1.5},
             "interval": {"frechet_distance": [11, 14]}, "examples": 32}  # fmt: skip
    (run / "evaluation.json").write_text(json.dumps(found))
    return run


@pytest.mark.parametrize("mask", [0o022, 0o007])
def test_the_weights_may_be_read_by_whom_the_umask_lets(run: Path, tmp_path: Path, mask) -> None:
    before = os.umask(mask)
    try:
        to = export(str(run), tmp_path / "out")
        assert os.umask(mask) == mask, "it is left as it was"
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in to.iterdir()}
    assert set(modes.values()) == {0o666 & ~mask}, modes


def test_the_card_says_what_it_is(run: Path, tmp_path: Path) -> None:
    to = export(str(run), tmp_path / "out")
    card = (to / "card.md").read_text()
    told = json.loads((run / "provenance.json").read_text())
    size = (to / "model.safetensors").stat().st_size
    for words in (
        f"{told['parameters']:,} ({size:,} bytes)", "data set: Digits: ", told["data"],
        told["data_fingerprint"], "classes: 10: 0, 1, 2", "licence of the data: ",
        "sampler: Heun(num_steps=", "| frechet distance | 12.5 | 11 to 14 | 1.5 |",
        "genlab sample run=", "cond=0",
    ):  # fmt: skip
        assert words in card, words


NAMES = [
    "<script>alert(1)</script>", "[x](javascript:alert(1))", "![x](https://evil.example/a.png)",
    "a | b | c |\n| forged | 1 | 2 | 3 |", "x\n\n# Forged\n\n- licence of the data: free", "`code`",
    "**bold** _it_", "<https://evil.example>", "<!-- x", "\\[x](javascript:y)", "&lt;b&gt;",
    "~~x~~", "[x]: https://evil.example", "x\r- y", "\u2028# z",
]  # fmt: skip


def kinds(text: str) -> tuple[set[str], int, int]:
    """What a reader of Markdown finds: kinds of pieces, rows of tables, items of lists."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = [t for token in reader.parse(text) for t in (token, *(token.children or ()))]
    count = Counter(t.type for t in tokens)
    return set(count), count["tr_open"], count["list_item_open"]


@pytest.mark.parametrize("name", NAMES)
def test_a_strangers_names_are_text_in_the_card(name: str, run: Path, tmp_path: Path) -> None:
    plain = kinds((export(str(run), tmp_path / "plain") / "card.md").read_text())
    theirs = tmp_path / "theirs"
    shutil.copytree(run, theirs)
    found = {"metrics": {name: 1.0}, "floor": {name: 2.0}, "examples": 32}
    (theirs / "evaluation.json").write_text(json.dumps(found))
    told = json.loads((theirs / "provenance.json").read_text())
    told |= {"data": name, "data_fingerprint": name, "time": name, "versions": {"genlab": name}}
    (theirs / "provenance.json").write_text(json.dumps(told))
    card = (export(str(theirs), tmp_path / "out") / "card.md").read_text()
    assert kinds(card) == plain, card


@pytest.mark.parametrize(
    ("file", "data"),
    [("evaluation", {"metrics": {"a": [1]}, "examples": 32}), ("evaluation", {"metrics": 3}),
     ("evaluation", {"metrics": {"a": 1}, "floor": 1, "interval": {"a": "x"}, "examples": 32}),
     ("provenance", {"parameters": "many"}), ("provenance", {"versions": [1]}),
     ("provenance", {"parameters": -1e400, "time": {"a": 1}, "data": None}), ("provenance", [1])],
)  # fmt: skip
def test_what_is_malformed_in_a_run_leaves_an_export_whole(file, data, run, tmp_path) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(run, theirs)
    (theirs / f"{file}.json").write_text(json.dumps(data))
    to = export(str(theirs), tmp_path / "out")
    assert genlab.load(to).sample(1).shape == (1, 1, 8, 8)


def test_an_export_is_whole_or_not_at_all(run, tmp_path, monkeypatch) -> None:
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genlab.runs.export.card", full)
    with pytest.raises(OSError, match="No space"):
        export(str(run), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_figures_of_other_weights_are_shown_nowhere(run: Path, tmp_path: Path, capsys) -> None:
    """A run that learnt on after it was measured."""
    later = tmp_path / "later"
    shutil.copytree(run, later)
    found = json.loads((later / "evaluation.json").read_text())
    (later / "evaluation.json").write_text(json.dumps({**found, "examples": 16}))
    card = (export(str(later), tmp_path / "out") / "card.md").read_text()
    assert "12.5" not in card and "Not evaluated at these weights." in card
    for folder, shown in ((run, True), (later, False)):
        print_summary(folder, None)
        said = capsys.readouterr().err
        assert ("12.5" in said) == shown
        assert (f"genlab evaluate run={folder}" in said) != shown


def test_the_code_on_the_card_runs(run: Path, tmp_path: Path, monkeypatch) -> None:
    to = export(str(run), tmp_path / "out")
    code = (to / "card.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for line in code.replace("THIS_FOLDER", str(to)).splitlines():
        exec(line, names)
    assert names["x"].shape == (16, 1, 8, 8) and (tmp_path / "samples.png").is_file()
    assert isinstance(names["model"], type(genlab.load(to)))


def test_classes_are_named() -> None:
    class Data:
        num_classes, class_names = 3, ["cat", "dog", "owl"]

    assert classes(Data()) == "3: 0 cat, 1 dog, 2 owl"
    Data.class_names = None
    assert classes(Data()) == "3: 0, 1, 2"
    Data.num_classes = None
    assert classes(Data()) == "none"
