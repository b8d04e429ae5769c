"""What the report says of a model's code and of its classes, of a file that may be foreign."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_report import ATTACKS, fake_run

from genlab.runs.page.beside import CLASSES, classes_of, code_of, noise_of
from genlab.runs.page.write import write_report

CODE = {"values": 32, "of": "", "in_use": 11, "nats": 4.25, "most": [[7, 1.3]], "walked": [7]}


def row(name: str = "shirt", real: float = 0.1, share: float = 0.1, **more: Any) -> dict[str, Any]:
    """A class of 1,000 samples, or so."""
    ends = [max(0.0, share - 0.01), share + 0.01]
    return {"class": name, "real": real, "share": share, "interval": ends, "ratio": 1.0, **more}


def test_how_many_values_are_in_use_is_said_with_their_unit() -> None:
    said = code_of({"code": CODE})
    assert said.startswith("11 of 32 values are in use (a KL above 0.01 nats)")
    assert said.endswith("4.25 nats of an example")
    assert "11 of 32 values of the top layer are" in code_of(
        {"code": {**CODE, "of": "the top layer"}}
    )


@pytest.mark.parametrize(
    "code", [None, [], "x", {}, {**CODE, "values": "many"}, {**CODE, "nats": None}]
)
def test_a_code_that_is_none_is_not_told_of(code: Any) -> None:
    assert code_of({"code": code}) == ""
    assert code_of({}) == ""


@pytest.mark.parametrize(
    ("real", "share", "mark"),
    [
        (0.1, 0.1, ""), (0.1, 0.051, ""), (0.1, 0.049, "too rare"), (0.1, 0.19, ""),
        (0.1, 0.21, "too frequent"), (0.1, 0.0, "too rare"),
        (0.009, 0.003, ""), (0.003, 0.012, ""),  # of so few the draw of the samples may be all
    ],
)  # fmt: skip
def test_a_class_is_marked_at_twice_too_rare_or_frequent(real, share, mark: str) -> None:
    assert classes_of({"classes": [row(real=real, share=share)]})["rows"][0]["mark"] == mark


def test_of_many_classes_the_farthest_from_their_share_are_shown_in_order() -> None:
    rows = [row(f"c{i}", 0.01, 0.01) for i in range(100)]
    rows[70] |= {"share": 0.0001}
    rows[3] |= {"share": 0.2}
    found = classes_of({"classes": rows})
    names = [r["class"] for r in found["rows"]]
    assert len(names) == CLASSES and found["more"] == 60 and found["most"] == 0.2
    assert names.index("c3") < names.index("c70")


@pytest.mark.parametrize("odd", [None, "x", {}, [None, "x", 3, {}, {"class": "a"}]])
def test_rows_that_are_none_are_left_out(odd: Any) -> None:
    assert classes_of({"classes": odd})["rows"] == []


def test_values_that_are_no_shares_are_left_out() -> None:
    odd = [row(share=math.nan), row(real="x"), row(share=True), row(real=-1.0), row(share=math.inf)]
    assert classes_of({"classes": odd})["rows"] == []
    kept = classes_of({"classes": [row(interval=[0.1], ratio="x", precision=[])]})["rows"][0]
    assert kept["interval"] is None and kept["ratio"] is None and kept["precision"] is None


def test_the_page_has_all_of_it_and_nothing_of_it_runs(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    path = run / "evaluation.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    rows = [row(attack, 0.1, 0.01, precision=0.5) for attack in ATTACKS[:30]]
    found |= {"classes": rows, "code": {**CODE, "of": ATTACKS[0]}}
    path.write_text(json.dumps(found))
    for name in ("reconstructions", "traversal_1", "traversal_2"):
        (run / "evaluation").mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(run / "evaluation" / f"{name}.png")
    page = write_report(run).read_text(encoding="utf-8")
    for head in ("What comes back", "What the values of the code do", "Class by class"):
        assert f"<h2>{head}</h2>" in page
    assert page.count("too rare</small>") == 30
    assert "rows that change one value of a code, of example 2" in page
    assert all(attack not in page for attack in ATTACKS[:3])
    assert "11 of 32 values of &lt;script&gt;" in page


def test_a_run_without_any_has_no_empty_headings(tmp_path: Path) -> None:
    page = write_report(fake_run(tmp_path / "run")).read_text(encoding="utf-8")
    for head in ("What comes back", "What the values of the code do", "Class by class"):
        assert head not in page


def noise(low: float, loss: Any, **more: Any) -> dict[str, Any]:
    return {"ratio": [low, 3 * low], "loss": loss, "interval": [0.9, 1.1], **more}


def test_the_loss_at_each_noise_level_is_drawn_over_its_logarithm(tmp_path: Path) -> None:
    rows = [noise(0.01, 0.9), noise(0.1, 0.5), noise(1.0, 0.7), noise(10.0, 1.0)]
    line, ticks = noise_of({"noise_levels": rows})
    assert [y for _, y in line.points] == [0.9, 0.5, 0.7, 1.0] and line.band[0][1:] == (0.9, 1.1)
    assert line.points[0][0] == pytest.approx(math.log10(0.01 * 3**0.5))
    assert ticks == [(-1.0, "0.1"), (0.0, "1"), (1.0, "10")]
    run = fake_run(tmp_path / "run")
    found = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps(found | {"noise_levels": rows}))
    text = write_report(run).read_text()
    assert "Noise level by noise level" in text and "Curves over sigma / alpha: from 0.9" in text


def test_noise_levels_of_a_foreign_file_are_left_out() -> None:
    odd = ["x", noise(0.0, 1.0), noise(1.0, "1"), noise(1.0, math.nan), noise(1.0, 1.0, ratio=[1])]
    assert noise_of({"noise_levels": odd}) is noise_of({"noise_levels": 3}) is noise_of({}) is None
    line, _ = noise_of({"noise_levels": [*odd, noise(0.1, 1.0), noise(1.0, 1.0)] * 100})
    assert len(line.points) <= 40
