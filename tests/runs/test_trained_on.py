"""From a training example's licence to the export, the card and what the model makes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image
from running import fit, genlab_here

from genlab.data.origins import MOST
from genlab.runs.export import export
from genlab.runs.folder.trained_on import SETS, check_policy, counted, kept, licences, merged
from genlab.runs.page.write import write_report
from genlab.runs.say.errors import UserError

BY, NC, ZERO = "CC-BY-4.0", "CC-BY-NC-4.0", "CC0-1.0"


def pictures(root: Path, licence, num: int = 24) -> Path:
    """Pictures with captions; `licence(i)` is the columns of the i-th."""
    root.mkdir()
    rows = []
    for i in range(num):
        Image.new("RGB", (8, 8), (9 * i, 99, 0)).save(root / f"{i}.png")
        split = "val" if i < 4 else "train"
        rows.append({"file_name": f"{i}.png", "text": "one", "split": split, **licence(i)})
    (root / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return root


def words(root: Path, *more: str) -> list[str]:
    return [
        "model=diffusion", "data=captioned_folder", f"data.root={root}", "conditions=captions",
        "data.shape=[3,8,8]", "net.width=8", "net.head_dim=8", "conditions.encoder.width=16",
        "tokenizer.size=300", "sampler.num_steps=2", "budget.examples=16", *more,
    ]  # fmt: skip


def mixed(i: int) -> dict[str, str]:
    if i == 7:
        return {"licence": NC, "source": "https://example.org/seven", "consent": "by mail"}
    return {"licence": BY if i % 2 else ZERO, "source": "mine"}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("learnt")
    root = pictures(folder / "pictures", mixed)
    run = fit(words(root), folder / "run")
    shutil.rmtree(root)  # what a run has learnt from, it knows by itself
    return run


@pytest.fixture(scope="module")
def tuned(run: Path, tmp_path_factory) -> Path:
    """Begun from the other's weights, on pictures that may be used in trade."""
    folder = tmp_path_factory.mktemp("tuned")
    root = pictures(folder / "pictures", lambda i: {"licence": "MIT"})
    return fit(words(root, f"init_from={run}"), folder / "run")


def test_the_run_keeps_the_counts(run: Path) -> None:
    told = json.loads((run / "provenance.json").read_text())
    (own,) = told["trained_on"]
    assert own["fingerprint"] == told["data_fingerprint"] and own["data"] == "CaptionedFolder"
    found = {g["licence"]: (g["examples"], g["source"], g["consent"]) for g in own["groups"]}
    assert found == {
        ZERO: (10, "mine", ""), BY: (9, "mine", ""), NC: (1, "https://example.org/seven", "by mail")
    }  # fmt: skip


@pytest.mark.whole
def test_an_export_refuses_what_a_policy_forbids_and_names_it(run, tmp_path) -> None:
    out = tmp_path / "out"
    done = genlab_here("export", f"run={run}", f"to={out}", "policy=commercial")
    assert done.returncode == 2 and not out.exists()
    assert done.stderr.count("\n") == 1, done.stderr
    for part in ("policy=commercial", "1 of 20", "7.png", NC, "https://example.org/seven"):
        assert part in done.stderr, done.stderr
    done = genlab_here("export", f"run={run}", f"to={out}", "policy=open")
    assert done.returncode == 0, done.stderr
    card = (out / "card.md").read_text()
    told = json.loads((run / "provenance.json").read_text())
    for part in (f"{ZERO} (10), {BY} (9), {NC} (1)", told["data_fingerprint"], "7.png", "by mail"):
        assert part in card, part
    held = yaml.safe_load((out / "config.yaml").read_text())["genlab"]["trained_on"]
    assert held == told["trained_on"], "an export knows it without the run"


def sidecar(where: Path, *given: str) -> dict:
    done = genlab_here("sample", *given, "num=2", "cond=one", f"to={where}")
    assert done.returncode == 0, done.stderr
    (path,) = where.rglob("*.json")
    told = json.loads(path.read_text())
    assert {p.name for p in where.rglob("*") if p.is_file()} == {*told["files"], path.name}
    return told


@pytest.mark.whole
def test_what_is_drawn_has_the_union_beside_it(run, tuned, tmp_path) -> None:
    told = sidecar(tmp_path / "a", f"run={run}")
    found = json.loads((run / "provenance.json").read_text())
    assert told["trained_on"]["licences"] == {ZERO: 10, BY: 9, NC: 1}
    assert told["trained_on"]["data_fingerprints"] == [found["data_fingerprint"]]
    assert told["asked"] == {"cond": "one", "num": 2, "seed": 0, "first": 0}
    export(str(tuned), tmp_path / "out")
    both = sidecar(tmp_path / "b", f"run={tmp_path / 'out'}")["trained_on"]
    assert both["licences"] == {"MIT": 20, ZERO: 10, BY: 9, NC: 1}
    assert len(both["data_fingerprints"]) == 2
    assert both["consent"] == {"by mail": 1}


@pytest.mark.whole
def test_a_tuned_model_inherits_what_it_began_from(run, tuned, tmp_path) -> None:
    own, before = json.loads((tuned / "provenance.json").read_text())["trained_on"]
    assert [g["licence"] for g in own["groups"]] == ["MIT"]
    assert [before] == json.loads((run / "provenance.json").read_text())["trained_on"]
    with pytest.raises(UserError, match=r"policy=commercial forbids 1 of 40 .*7\.png"):
        export(str(tuned), tmp_path / "out", policy="commercial")


@pytest.mark.whole
def test_a_resumed_run_still_knows(tuned, tmp_path) -> None:
    """Its parent may be gone by then."""
    run = tmp_path / "run"
    shutil.copytree(tuned, run)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["budget"]["examples"], settings["init_from"] = 32, str(tmp_path / "gone")
    del settings["resume"]
    fit([], run, resume=True, **settings)
    assert len(kept(newest(run))) == 2


def newest(run: Path) -> dict:
    from genlab.runs.folder.load import read_run

    assert read_run(run)["clock"]["examples"] == 32
    return read_run(run)["genlab"]


def test_the_report_says_what_it_was_trained_on(tuned) -> None:
    page = write_report(tuned).read_text()
    section = page.split("What it was trained on")[1].split("</section>")[0]
    for part in ("MIT", NC, "7.png", "by mail", "https://example.org/seven"):
        assert part in section, part
    assert "trained_on" not in page.split("To repeat it")[1].split("Configuration")[0]


def made(*groups: tuple[str, int]) -> list[dict]:
    rows = [
        {"licence": licence, "source": "", "consent": "", "examples": num, "example": f"{i}.png"}
        for i, (licence, num) in enumerate(groups)
    ]
    return [{"fingerprint": "f", "data": "d", "noun": "n", "groups": rows}]


@pytest.mark.parametrize("licence", ["unknown", "ask the author", ""])
def test_an_unknown_licence_is_refused_unless_it_is_allowed(licence: str) -> None:
    sets = kept({"trained_on": made(("MIT", 3), (licence, 2))})
    with pytest.raises(UserError, match=r"not known of 2 of 5 training examples, as 1\.png"):
        check_policy(sets, "open", "refuse")
    check_policy(sets, "open", "allow")
    with pytest.raises(UserError, match="unknown=perhaps: allowed are"):
        check_policy(sets, "open", "perhaps")


@pytest.mark.parametrize(
    ("policy", "fits"),
    [("open", {ZERO, BY, NC, "GPL-3.0"}), ("commercial", {ZERO, BY, "GPL-3.0"}),
     ("permissive", {ZERO, BY}), ("public_domain", {ZERO})],
)  # fmt: skip
def test_each_policy_takes_what_it_says(policy: str, fits: set[str]) -> None:
    for licence in (ZERO, BY, NC, "GPL-3.0"):
        if licence in fits:
            check_policy(made(("CC0", 1), (licence, 1)), policy, "refuse")
        else:
            with pytest.raises(UserError, match=f"policy={policy} forbids 1 of 2"):
                check_policy(made(("CC0", 1), (licence, 1)), policy, "refuse")


def test_a_policy_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"policy=comercial: .*commercial"):
        check_policy(made(("MIT", 1)), "comercial", "refuse")


@pytest.mark.parametrize(
    "told",
    [{}, {"trained_on": 3}, {"trained_on": []}, {"trained_on": ["x"]}, {"trained_on": [{}]},
     {"trained_on": [{"groups": [1]}]}, {"trained_on": None}],
)  # fmt: skip
def test_a_model_that_says_nothing_is_unknown(told: dict) -> None:
    sets = kept(told)
    assert licences(sets) == "unknown"
    with pytest.raises(UserError, match="not recorded"):
        check_policy(sets, "open", "refuse")


def test_what_a_stranger_says_is_bounded() -> None:
    odd = {"licence": "x\n" * 5000, "examples": -4, "example": ["a"] * 5000, "more": 1}
    (one,) = kept({"trained_on": [{"fingerprint": "f" * 5000, "groups": [odd] * 5000}]})
    assert len(one["groups"]) <= 3 * MOST and one["groups"][0]["examples"] == 0
    assert all(len(str(v)) <= 200 and "\n" not in str(v) for v in one["groups"][0].values())
    many = [{**made(("MIT", 1))[0], "fingerprint": str(i)} for i in range(2 * SETS)]
    assert len(kept({"trained_on": many})) <= SETS + 1 and "unknown" in licences(merged(many))


def test_a_set_that_is_learnt_from_again_counts_once() -> None:
    sets = merged([*made(("MIT", 3)), *made(("MIT", 3))])
    assert counted(sets, "licence") == {"MIT": 3}
