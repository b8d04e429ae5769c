"""Points of one's own: in three lines, files that lie about themselves, the way back."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from running import fit, genlab_here

from genlab.data.points import PointSet
from genlab.data.sources.points import PointsFile, read_npy
from genlab.metrics.points import PointsEvaluation
from genlab.models.conditions import Conditions

WHERE = np.array([100.0, -3.0, 0.5])


def cloud(num: int = 400) -> np.ndarray:
    return WHERE + np.array([20.0, 0.1, 1.0]) * np.random.default_rng(0).normal(size=(num, 3))


def saved(path: Path, points: np.ndarray | None = None) -> Path:
    np.save(path, cloud() if points is None else points)
    return path


def made(path: Path | None, columns=None, **given) -> PointSet:
    source = PointsFile(path=None if path is None else str(path), columns=columns)
    return PointSet(source=source, **{"shape": None, "batch_size": 8, "seed": 0, **given})


def test_points_of_ones_own_in_three_lines(tmp_path) -> None:
    words = ["model=diffusion", "data=points_file", "net.width=16", "sampler.num_steps=4"]
    run = fit([*words, f"data.path={saved(tmp_path / 'p.npy')}"], tmp_path / "run")
    (tmp_path / "p.npy").unlink()
    done = genlab_here("sample", f"run={run}", "num=6", "given=[90,null,null]")
    assert done.returncode == 0, done.stderr
    lines = next((run / "samples").rglob("seed*.csv")).read_text().split()
    assert lines[0] == "x0,x1,x2" and len(lines) == 7
    assert all(float(line.split(",")[0]) == pytest.approx(90, abs=0.01) for line in lines[1:])


class Exact:
    """Draws training points."""

    likelihood, device, conditions = "none", torch.device("cpu"), Conditions()

    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def loss(self, batch):
        return {"loss": torch.zeros(len(batch["x"]))}

    def sample(self, num, cond=None, given=None, *, seed=0, first=0):
        return self.x[torch.arange(first, first + num) % len(self.x)]

    def drawing(self):
        return contextlib.nullcontext()


def test_the_metric_says_what_needs_a_law(tmp_path) -> None:
    data = made(saved(tmp_path / "p.npy", cloud(2000)))
    data.load()
    report = PointsEvaluation(num_samples=500)(Exact(data.train.x), data)
    assert {"energy_distance", "sliced_wasserstein"} <= {*report.metrics}
    assert not {"law_log_prob", "in_support", "modes_covered", "kl_to_model"} & {*report.metrics}
    assert report.notes["law"].startswith("not known, so without law_log_prob")
    assert "training points" in report.notes["floor"] and report.floor["energy_distance"] == 0
    assert report.metrics["energy_distance"] < 0.01
    assert report.metrics["sliced_wasserstein"] < 3 * report.floor["sliced_wasserstein"]


def test_standardised_points_come_back_in_their_units(tmp_path) -> None:
    path = saved(tmp_path / "p.npy")
    data = made(path)
    data.load()
    assert data.shape == (3,) and data.std == pytest.approx(1, abs=0.01)
    every = np.concatenate([data.decode(s.x) for s in (data.train, data.val)])
    assert sorted(map(tuple, every.round(3))) == sorted(map(tuple, cloud().round(3).astype("f4")))
    assert len(data.val) == 40 and torch.allclose(data.train.x.mean(0), torch.zeros(3), atol=1e-5)
    raw = made(path, standardise=False)
    raw.load()
    assert raw.train.x.numpy() == pytest.approx(data.decode(data.train.x), rel=1e-5, abs=1e-5)
    fresh = made(None, shape=[3])
    fresh.load_state(data.state())
    assert np.array_equal(fresh.decode(data.val.x), data.decode(data.val.x))
    known = fresh.asked(2, given="[90, null, 0.5]")[1]
    assert fresh.decode(known["x"])[0] == pytest.approx([90, 0, 0.5], abs=1e-4)
    assert known["mask"].tolist() == [[True, False, True]] * 2


def test_rows_of_a_file_and_equal_points_on_one_side(tmp_path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("name,a,b\n" + "".join(f"n{i},{i % 30},{2.5}\n" for i in range(300)))
    data = made(path, ["a", "b"])
    assert data.found() == {"shape": [2]}
    assert data.describe().endswith("'b' is the same in every point")
    sides = [{tuple(p) for p in data.decode(s.x).tolist()} for s in (data.train, data.val)]
    assert len(sides[1]) == 3 and not sides[0] & sides[1]


def head(text: bytes, version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text


def npy(shape: str, dtype: str = "'<f8'", data: bytes = b"") -> bytes:
    return head(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}\n".encode()) + data


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        (npy("(10000000000, 100)"), r"its head says 1,000,000,000,000 numbers of 8 bytes, but 0"),
        (npy("(-4, -4)", data=b"x" * 128), r"of shape \[-4, -4\]"),
        (npy("(2, 2)", data=b"x" * 31), r"but 31 bytes follow"),
        (npy("(2, 2)", data=b"x" * 33), r"but 33 bytes follow"),
        (npy("(1,)", "'|O'", b"cos\nsystem\n"), r"it holds \|O, where numbers are wanted"),
        (npy("(1,)", "[('a', '<f8')]", b"x" * 8), r"where numbers are wanted"),
        (npy("()", data=b"x" * 8), r"of shape \[\], where points are \[N, D\]"),
        (npy("(1, 1, 1)", data=b"x" * 8), r"of shape \[1, 1, 1\]"),
        (npy("(0, 3)"), r"of shape \[0, 3\]"),
        (head(b"__import__('os').system('touch /tmp/x')\n"), r"no \.npy file that can be read"),
        (head(b"(" * 9000 + b"\n"), r"no \.npy file"),
        (b"PK\x03\x04", r"no \.npy file"),
        (b"", r"no \.npy file"),
    ],
)
def test_files_that_lie_about_themselves(tmp_path, contents, says) -> None:
    path = tmp_path / "p.npy"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=says) as error:
        made(path).load()
    assert "\n" not in str(error.value)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_line_or_are_points(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("p") / "p.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + data)
    try:
        assert read_npy(path, "x").ndim == 2
    except ValueError as error:
        assert str(error).startswith("x: ")


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.sampled_from(["<f8", ">f4", "<i2", "u1"]),
       st.booleans())  # fmt: skip
def test_arrays_are_read_as_numpy_wrote_them(tmp_path_factory, n, d, dtype, by_column) -> None:
    array = np.arange(n * d).reshape(n, d).astype(dtype, order="F" if by_column else "C")
    path = tmp_path_factory.mktemp("p") / "p.npy"
    buffer = io.BytesIO()
    np.save(buffer, array)
    path.write_bytes(buffer.getvalue())
    assert np.array_equal(read_npy(path, "x"), array)


@pytest.mark.parametrize(
    ("text", "columns", "says"),
    [
        ("a,b\n1,2\nx,3\n", None, r"row 2: a is 'x', no number: name the coordinates"),
        ("a,b\n1,2\n", ["c"], r"^data\.columns: row 1 of p\.csv has no 'c', but a, b"),
        ("a,b\n", None, r"has no points"),
        ("a,b\n1,inf\n2,3\n", None, r"1 rows are not finite, the first of them row 1"),
        ("a\n1\n1\n", None, r"has one document|one"),
    ],
)
def test_rows_that_are_no_points(tmp_path, text, columns, says) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ValueError, match=says):
        made(tmp_path / "p.csv", columns).load()


@pytest.mark.parametrize("wide", [1, 2, 5])
def test_points_of_any_dimension_are_drawn(tmp_path, wide) -> None:
    data = made(saved(tmp_path / "p.npy", np.random.default_rng(1).normal(size=(50, wide))))
    data.load()
    path = data.view.save(data.decode(data.val.x), tmp_path / "samples")
    assert path.is_file() and path.with_suffix(".csv").read_text().count("\n") == 1 + len(data.val)
