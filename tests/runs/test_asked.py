"""`genlab sample` asks in words: a class's name, a picture and its kept part, a beginning."""

from __future__ import annotations

from pathlib import Path

import data_of
import numpy as np
import pytest
import torch
from PIL import Image
from running import fit, genlab_here
from safetensors.torch import load_file

from genlab.data.decode import opened

pytestmark = pytest.mark.whole

SMALL = ["net=mlp", "net.width=16", "sampler.num_steps=4"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        (folder / "pets" / name).mkdir(parents=True)
        for i in range(12):
            image = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(image).save(folder / "pets" / name / f"{i}.png")
    (folder / "book.txt").write_text("To be, or not to be, that is the question. " * 80)
    pets = ["data=image_folder", f"data.root={folder / 'pets'}", "data.shape=[3,8,8]"]
    return {
        "pets": fit([*pets, "data.num_classes=3", *SMALL], folder / "pets_run"),
        "digits": fit(["data=digits", *SMALL], folder / "digits_run"),
        "ring": fit(["data=ring", *SMALL], folder / "ring_run"),
        "text": fit(
            ["data=text_file", f"data.path={folder / 'book.txt'}", "data.block=16",
             "model=autoregressive", "net=gru", "net.width=16"], folder / "text_run",
        ),
    }  # fmt: skip


def sample(run: Path, to: Path, *words: str) -> tuple[str, dict[str, torch.Tensor]]:
    done = genlab_here("sample", f"run={run}", f"to={to}", *words)
    assert done.returncode == 0, done.stderr
    (numbers,) = to.glob("*.safetensors")
    return done.stdout, load_file(numbers)


@pytest.mark.parametrize(
    "asked, classes",
    [
        ("cond=owl", [2, 2, 2, 2]),
        ("cond=OWL", [2, 2, 2, 2]),
        ("cond=1", [1, 1, 1, 1]),
        ("cond=[cat,2]", [0, 2, 0, 2]),
        ("num=4", [0, 1, 2, 0]),
    ],
)
def test_classes_are_asked_for_by_name_or_number(runs, tmp_path, asked, classes) -> None:
    words = [asked] if asked.startswith("num") else ["num=4", asked]
    assert sample(runs["pets"], tmp_path, *words)[1]["cond"].tolist() == classes


def test_a_typo_is_told_the_nearest_names(runs, tmp_path) -> None:
    done = genlab_here("sample", f"run={runs['pets']}", f"to={tmp_path}", "cond=owel")
    assert done.returncode == 2
    assert done.stderr == (
        "genlab: cond=owel: there is no such class; nearest: owl, or a number from 0 to 2\n"
    )


def seven(path: Path) -> torch.Tensor:
    """A digit of the held-out ones as a picture's file; gives it as a model sees it [1, 8, 8]."""
    data = data_of.digits()
    data.load()
    x = data.val.batch(torch.tensor([7]))["x"]
    Image.fromarray(data.decode(x)[0][..., 0]).save(path)
    return x[0]


@pytest.mark.parametrize(
    "name, rows, columns",
    [
        ("top", slice(4), slice(None)),
        ("bottom", slice(4, None), slice(None)),
        ("left", slice(None), slice(4)),
        ("right", slice(None), slice(4, None)),
    ],
)
def test_half_a_digit_is_kept_and_the_rest_is_drawn(runs, tmp_path, name, rows, columns) -> None:
    x = seven(tmp_path / "seven.png")
    given = [f"given={tmp_path / 'seven.png'}", f"mask={name}"]
    found = sample(runs["digits"], tmp_path / "out", "num=3", *given)[1]["x"]
    kept = torch.zeros(8, 8, dtype=torch.bool)
    kept[rows, columns] = True
    assert torch.equal(found[:, 0, kept], x[0, kept].expand(3, -1))
    assert not torch.equal(found[0, 0, ~kept], x[0, ~kept])


def test_a_mask_may_be_a_picture_white_where_it_is_kept(runs, tmp_path) -> None:
    x = seven(tmp_path / "seven.png")
    white = np.zeros((8, 8), np.uint8)
    white[2:5, 1:7] = 255
    Image.fromarray(white).save(tmp_path / "mask.png")
    given = [f"given={tmp_path / 'seven.png'}", f"mask={tmp_path / 'mask.png'}"]
    found = sample(runs["digits"], tmp_path / "out", "num=2", *given)[1]["x"]
    kept = torch.from_numpy(white > 0)
    assert torch.equal(found[:, 0, kept], x[0, kept].expand(2, -1))
    assert not torch.equal(found[0, 0, ~kept], x[0, ~kept])


def test_a_given_picture_comes_through_the_same_gate_as_data(runs, tmp_path) -> None:
    (tmp_path / "evil.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    words = [f"given={tmp_path / 'evil.png'}", "mask=top"]
    done = genlab_here("sample", f"run={runs['digits']}", *words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "given: " in done.stderr and "allowed are PNG, JPEG, WEBP, BMP" in done.stderr
    with pytest.raises(ValueError, match=r"^mask: "):
        opened(tmp_path / "evil.png", (1, 8, 8), key="mask")


def test_other_contents_of_a_given_file_are_another_sample(runs, tmp_path) -> None:
    seven(tmp_path / "a.png")
    words = [f"run={runs['digits']}", f"to={tmp_path / 'out'}", "num=1", "mask=top"]
    assert genlab_here("sample", *words, f"given={tmp_path / 'a.png'}").returncode == 0
    Image.new("L", (8, 8), 77).save(tmp_path / "a.png")
    assert genlab_here("sample", *words, f"given={tmp_path / 'a.png'}").returncode == 0
    assert len(list((tmp_path / "out").glob("*.safetensors"))) == 2


def test_a_point_of_which_one_coordinate_is_known(runs, tmp_path) -> None:
    found = sample(runs["ring"], tmp_path, "num=5", "given=[0.5,null]")[1]["x"]
    assert (found[:, 0] == 0.5).all() and (found[:, 1] != 0).all()


def test_a_text_goes_on_from_its_beginning(runs, tmp_path) -> None:
    said, found = sample(runs["text"], tmp_path, "num=2", "prompt=To be", "sampler.length=24")
    assert said.startswith("To be") and found["x"].shape == (2, 24)


def test_measuring_on_the_test_split(runs, data_root, tmp_path) -> None:
    words = ["split=test", f"to={tmp_path}", "metric.num_samples=20"]
    done = genlab_here("evaluate", f"run={runs['digits']}", *words)
    assert done.returncode == 2 and done.stderr.splitlines()[-1] == (
        "genlab: split=test: Digits has no test split, only train and val; write split=val"
    )
    done = genlab_here("evaluate", f"run={runs['digits']}", "split=other")
    assert done.returncode == 2 and "split=other: allowed are val" in done.stderr
