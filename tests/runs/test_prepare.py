"""`genlab prepare`: mistakes are one line, before anything is read or written."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from genlab.runs.prepare import prepare_command
from genlab.runs.say.answer import answer
from genlab.runs.say.errors import UserError
from genlab.runs.settings.prepared import chosen

pytest.importorskip("pyarrow")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.txt").write_text("a short text")
    return tmp_path / "raw"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["kind=txt", "from={raw}", "to={new}"], r"kind=txt: there is no such recipe.*text"),
        (["kind=text", "from={raw}/gone", "to={new}"], r"from=.*gone: there is no such file"),
        (["kind=text", "form={raw}", "to={new}"], r"'form' in the settings; nearest: from, rules"),
        (["kind=text", "from={raw}", "to={raw}/in"], r"lies in from="),
        (["kind=text", "from={raw}", "to={raw}"], r"write another folder"),
        (["kind=text", "from={raw}"], r"to has no value"),
        (["kind=text", "from={raw}", "to={new}", "rules.lenght.least=3"], r"rules.lenght.*length"),
        (["kind=text", "from={raw}", "to={new}", "rules.length.least=x"], r"rules.length.least"),
        (["kind=text", "from={raw}", "to={new}", "processes=0"], r"processes=0: write a whole"),
        (
            ["kind=text", "from={raw}", "to={new}", "+rule@rules.sharp=sharp"],
            r"rules.sharp: it is for image, and this is text: leave it out by ~rules.sharp",
        ),
        (["kind=text", "from={raw}", "to={new}", "+rule@rules.where=where"], r"rules.where.column"),
        (
            ["kind=text", "from={raw}", "to={new}", "+rule@rules.licence=licence",
             "rules.licence.policy=free"],
            r"policy=free: there are",
        ),
        (
            ["kind=text", "from={raw}", "to={new}"],
            r"nothing is left of 1 documents: length left out 1; look at the rule's limits",
        ),
        (["kind=image", "from={raw}/a.txt", "to={new}"], r"pictures are a folder of files"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(raw, tmp_path, words, says, capsys) -> None:
    new = tmp_path / "new"
    words = [w.format(raw=raw, new=new) for w in words]
    assert answer(lambda: prepare_command(words), words) == 2
    said = capsys.readouterr().err.strip()
    assert re.search(says, said) and "Traceback" not in said
    assert len([x for x in said.split("\n") if x.strip()]) == 1, said
    assert not (new / "dataset.json").exists()


def test_ray_says_what_is_missing(raw, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["kind=text", f"from={raw}", f"to={tmp_path / 'new'}", "pool=ray"]
    assert answer(lambda: prepare_command(words), words) == 2
    assert "pool=ray: pip install 'genlab[ray]'" in capsys.readouterr().err


def test_a_finished_set_and_a_full_folder_are_left_alone(raw, tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(UserError, match="the folder is not empty: name a new one"):
        prepare_command(["kind=text", f"from={raw}", f"to={tmp_path / 'full'}"])
    words = [
        f"from={raw}",
        "rules.length.least=1",
        "processes=1",
        "~rules.language",
        "~rules.prose",
    ]
    prepare_command(["kind=text", f"to={tmp_path / 'set'}", *words, "rules.split.val=0"])
    with pytest.raises(UserError, match="it holds a prepared set"):
        prepare_command(["kind=text", f"to={tmp_path / 'set'}", *words])
    assert (tmp_path / "set" / "report.html").is_file() and not (
        tmp_path / "set" / ".work"
    ).exists()


def test_data_prepared_names_the_set(tmp_path) -> None:
    with pytest.raises(UserError, match="data=prepared: which set"):
        chosen(["data=prepared"])
    with pytest.raises(UserError, match="no set that `genlab prepare` made"):
        chosen(["data=prepared", f"data.root={tmp_path}"])
    (tmp_path / "dataset.json").write_text('{"genlab": "dataset", "kind": "os.system"}')
    with pytest.raises(UserError, match=r"kind os\.system: there are text, image"):
        chosen(["data=prepared", f"data.root={tmp_path}"])
    assert chosen(["model=vae"]) == ["model=vae"]


def test_a_prepared_set_of_texts_is_trained_on(tmp_path) -> None:
    from made import documents, write_jsonl
    from running import settled

    raw = write_jsonl(tmp_path / "raw.jsonl", documents(40))
    prepare_command(["kind=text", f"from={raw}", f"to={tmp_path / 'set'}", "processes=1"])
    words = chosen(["data=prepared", f"data.root={tmp_path / 'set'}"])
    assert words == ["data=text_file", f"data.path='{tmp_path / 'set' / 'documents.jsonl'}'"]
    assert settled([*words, "model=autoregressive"])["data"]["source"]["path"].endswith(
        "documents.jsonl"
    )
    from genlab.data.sources.text import TextFile

    train, val = TextFile(path=str(tmp_path / "set" / "documents.jsonl")).documents()
    assert (len(list(train)), len(list(val))) == (36, 4)


def test_what_failed_before_anything_was_done_is_begun_anew(tmp_path, capsys) -> None:
    from made import documents

    lines = [json.dumps({"body": text}) for text in documents(20)]
    (tmp_path / "raw.jsonl").write_text("\n".join(lines))
    words = ["kind=text", f"from={tmp_path / 'raw.jsonl'}", f"to={tmp_path / 'set'}", "processes=1"]
    assert answer(lambda: prepare_command(words), words) == 2
    assert "kind.column=NAME says which is the text; there are body" in capsys.readouterr().err
    prepare_command([*words, "kind.column=body"])
    assert (tmp_path / "set" / "documents.jsonl").is_file()
