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
from genlab.runs.settings.prepared import chosen, to_train, unused_labels

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
        (["kind=image", "from={raw}", "to={new}", "tokenizer=bpe"], r"pictures are no texts"),
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
    assert words == ["data=text_file", f"data.path={tmp_path / 'set' / 'documents.jsonl'}"]
    (tmp_path / "a set").symlink_to(tmp_path / "set")
    odd = chosen(["data=prepared", f"data.root={tmp_path / 'a set'}"])
    assert odd[1] == f"data.path='{tmp_path / 'a set' / 'documents.jsonl'}'"
    assert settled([*words, "model=autoregressive"])["data"]["source"]["path"].endswith(
        "documents.jsonl"
    )
    from genlab.data.sources.text import TextFile

    train, val = TextFile(path=str(tmp_path / "set" / "documents.jsonl")).documents()
    assert (len(list(train)), len(list(val))) == (36, 4)


def test_a_folder_without_documents_says_what_is_there_instead(tmp_path) -> None:
    (tmp_path / "code").mkdir()
    for i in range(3):
        (tmp_path / "code" / f"m{i}.py").write_text(f"x = {i}\n" * 100)
    words = ["kind=text", f"from={tmp_path / 'code'}", f"to={tmp_path / 'set'}", "processes=1"]
    with pytest.raises(UserError, match=r"3 files, none .*kind\.endings=\[\.py\] reads those"):
        prepare_command(words)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"there are no documents in it$"):
        prepare_command([words[0], f"from={tmp_path / 'empty'}", *words[2:]])


def test_the_train_line_is_by_labels_or_captions_and_without_idle_columns() -> None:
    def line(**dataset) -> str:
        return " ".join(to_train({"kept": 10, **dataset}, Path("set")))

    labels = {"by_label": {"cat": 6, "dog": 4}}
    assert line(kind="image", **labels) == "data=prepared data.root=set data.num_classes=2"
    assert line(kind="image", captions=9, **labels).endswith("data.root=set conditions=captions")
    assert line(kind="image", captions=2, by_label={"cat": 10}) == "data=prepared data.root=set"
    assert line(kind="text", **labels) == "model=autoregressive data=prepared data.root=set"
    table = line(kind="table", idle_columns=["id", "a, b"])
    assert table == 'model=vae data=prepared data.root=set data.drop=[id,"a, b"]'


def test_labels_of_a_set_that_are_not_learnt_are_named(tmp_path) -> None:
    def holds(**found) -> None:
        (tmp_path / "dataset.json").write_text(json.dumps(found))

    holds(genlab="dataset", by_label={"cat": 2, "dog": 3})
    data = {"root": str(tmp_path), "num_classes": None}
    assert unused_labels(data) == "2 labels: data.num_classes=2 learns them"
    assert unused_labels({**data, "num_classes": 2}) == unused_labels({"root": None}) == ""
    assert unused_labels({"root": str(tmp_path / "else")}) == ""
    for odd in ({"cat": 5}, [1, 2], "ab", 7, None):
        holds(genlab="dataset", by_label=odd)
        assert unused_labels(data) == ""
    holds(by_label={"cat": 2, "dog": 3})  # another's file
    assert unused_labels(data) == ""


def test_what_failed_before_anything_was_done_is_begun_anew(tmp_path, capsys) -> None:
    from made import documents

    lines = [json.dumps({"body": text}) for text in documents(20)]
    (tmp_path / "raw.jsonl").write_text("\n".join(lines))
    words = ["kind=text", f"from={tmp_path / 'raw.jsonl'}", f"to={tmp_path / 'set'}", "processes=1"]
    assert answer(lambda: prepare_command(words), words) == 2
    assert "kind.column=NAME says which is the text; there are body" in capsys.readouterr().err
    prepare_command([*words, "kind.column=body"])
    assert (tmp_path / "set" / "documents.jsonl").is_file()


def test_tokens_are_written_once_and_found_by_data_prepared(tmp_path, capsys) -> None:
    from made import documents, write_jsonl
    from running import settled

    raw = write_jsonl(tmp_path / "raw.jsonl", documents(60))
    words = ["kind=text", f"from={raw}", "tokenizer=bpe", "tokenizer.size=300", "~rules.markup"]
    sets = [tmp_path / "one", tmp_path / "two"]
    for num, to in enumerate(sets, 1):
        prepare_command([*words, f"to={to}", f"processes={num}"])
    files = [sorted(p.name for p in to.glob("tokens/*")) for to in sets]
    assert files[0] == files[1] and len(files[0]) == 2
    for name in [*(f"tokens/{n}" for n in files[0]), "dataset.json"]:
        assert (sets[0] / name).read_bytes() == (sets[1] / name).read_bytes()
    mode = (sets[0] / "documents.jsonl").stat().st_mode
    assert all(p.stat().st_mode == mode for p in sets[0].glob("tokens/*"))
    told = json.loads((sets[0] / "dataset.json").read_text())["tokens"]
    assert told["vocab"] == 300 and f"train {told['train']:,}" in capsys.readouterr().err
    found = chosen(["data=prepared", f"data.root={sets[0]}"])
    assert found[2:] == ["tokenizer=bpe", "tokenizer.size=300"]
    assert chosen(["data=prepared", f"data.root={sets[0]}", "tokenizer=bytes"])[1:] == [
        f"data.path={sets[0] / 'documents.jsonl'}", "tokenizer=bytes"]  # fmt: skip
    from genlab.runs.settings.plan import Plan

    data = Plan(settled([*found, "model=autoregressive"])).data()
    assert data.train.targets == told["train"] and data.val.targets == told["val"]
    assert data.source.tokens == sets[0] / "tokens" and "anew" not in data.describe()


def test_a_strangers_set_names_no_other_tokenizer(tmp_path) -> None:
    told = {"genlab": "dataset", "kind": "text",
            "recipe": {"tokenizer": {"_target_": "os.system", "size": 3}}}  # fmt: skip
    (tmp_path / "dataset.json").write_text(json.dumps(told))
    assert len(chosen(["data=prepared", f"data.root={tmp_path}"])) == 2
    told["recipe"]["tokenizer"] = {"_target_": "genlab.data.tokenizers.BPE", "size": "x y"}
    (tmp_path / "dataset.json").write_text(json.dumps(told))
    assert chosen(["data=prepared", f"data.root={tmp_path}"])[2:] == ["tokenizer=bpe"]
