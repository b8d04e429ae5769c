"""Reconstructions and walks along single values of a code, as `genlab evaluate` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from running import settled

from genlab.runs.codes import EXAMPLES, save_codes, save_traversals, shown_examples, walk
from genlab.runs.settings.plan import Plan

WALKS = [f"traversal_{i + 1}.png" for i in range(EXAMPLES)]
VAE = ["model=vae", "net.encoder.width=8", "net.decoder.width=8"]


def built(words: list[str]) -> tuple[Any, Any]:
    plan = Plan(settled(words), ())
    data = plan.data()
    data.prepare()
    torch.manual_seed(0)
    model = plan.model()
    with torch.no_grad():  # a posterior that tells of x from the first step on
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model, data


def test_one_value_at_a_time_goes_through_its_prior() -> None:
    z = torch.tensor([1.0, 2.0, 3.0])
    before = torch.tensor([0.0, 10.0, 0.0]).double(), torch.tensor([1.0, 0.5, 1.0]).double()
    way = walk(z, [1, 0], before, 5)
    assert way.shape == (2, 5, 3) and way.dtype == z.dtype
    assert way[0, :, 1].tolist() == [9.0, 9.5, 10.0, 10.5, 11.0]
    assert way[1, :, 0].tolist() == [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert (way[0, :, [0, 2]] == z[[0, 2]]).all() and (way[1, :, 1:] == z[1:]).all()


@pytest.mark.parametrize(
    ("words", "there"),
    [
        (VAE, ["reconstructions.png", *WALKS]),
        (["model=ladder_vae", "net.widths=[16,16,8]"], ["reconstructions.png", *WALKS]),
        (["model=vae", "data=ring"], ["reconstructions.png", *WALKS]),
        (["model=vqvae", "net.encoder.width=8", "net.decoder.width=8"], ["reconstructions.png"]),
        (["model=normalising_flow", "data=ring"], ["reconstructions.png"]),
        (["model=gan"], []),
        (["model=diffusion"], []),
    ],
    ids=lambda x: "-".join(x[:2]) if x and "=" in x[0] else "",
)
def test_families_with_a_code_have_pictures_of_it(words, there, tmp_path: Path) -> None:
    told = save_codes(*built(words), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == there
    assert bool(told) is (len(there) > 1)


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    return built(VAE)


def test_what_is_said_of_the_code_is_that_of_the_model(digits, tmp_path: Path) -> None:
    model, data = digits
    told = save_traversals(model, data, tmp_path)
    laws = model.code_laws(data.val.batch(torch.arange(len(data.val)), None))
    assert told["values"] == 32 and told["of"] == ""
    assert told["nats"] == pytest.approx(laws.kl().sum().item(), rel=1e-4)
    assert told["in_use"] == len(laws.in_use()) > 8
    assert told["walked"] == laws.in_use()[:8] == [j for j, _ in told["most"][:8]]
    assert [kl for _, kl in told["most"]] == sorted((kl for _, kl in told["most"]), reverse=True)


class Written:
    """A view that keeps what it is given."""

    suffix, paired, lines = ".png", 4, (3, 5)

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def rows(self, items, columns, path, *, names=None) -> bool:
        self.given[path.name] = items, columns, names
        return True

    def pairs(self, mine, theirs, path, *, names=None) -> bool:
        self.given[path.name] = mine, theirs, names
        return True


def test_rows_and_pairs_are_of_the_same_held_out_examples(digits, tmp_path, monkeypatch) -> None:
    """Each example's rows are decoded under its own class, one value a row."""
    model, data = digits
    view = Written()
    monkeypatch.setattr(data, "view", view)
    told = save_codes(model, data, tmp_path)
    x, cond = shown_examples(model, data, 4)
    assert cond.tolist() == [0, 1, 2, 3], "the classes in turn"
    mine, theirs, names = view.given["reconstructions.png"]
    assert np.array_equal(mine, data.decode(x)) and names == ("held out", "back")
    assert np.array_equal(theirs, data.decode(model.reconstruct(x, cond)))
    items, columns, names = view.given[WALKS[1]]
    assert len(items) == 15 and columns == 5 and len(names) == 3
    j, kl = told["most"][2]
    assert names[2] == f"z{j}: {kl:.3g} nats"
    z = model.encode(x[1:2], cond[1:2])
    z[0, j] = -1.0
    at = 2 * columns + 1  # the third row, the second of -2, -1, 0, 1, 2
    near = np.abs(items[at].astype(int) - data.decode(model.decode(z, cond[1:2]))[0]).max()
    assert near <= 1


def test_a_map_of_values_has_no_rows_but_its_numbers(tmp_path: Path) -> None:
    words = ["model=vae", "net=conv_codec", "conditions=none"]
    told = save_codes(*built([*words, "net.encoder.width=8", "net.decoder.width=8"]), tmp_path)
    assert told["values"] == 16 and told["in_use"] > 0 and told["walked"] == []
    assert [p.name for p in tmp_path.iterdir()] == ["reconstructions.png"]


def test_a_collapsed_code_has_no_rows(digits, tmp_path: Path, monkeypatch) -> None:
    model, data = digits

    def forward(self, x, cond):
        return x.new_zeros(len(x), 32), x.new_zeros(len(x), 32)

    monkeypatch.setattr(type(model.encoder), "forward", forward)
    told = save_traversals(model, data, tmp_path)
    assert told["in_use"] == 0 == told["nats"] and told["walked"] == []
    assert not list(tmp_path.iterdir())


def test_rows_are_labelled_on_the_picture(digits, tmp_path: Path) -> None:
    save_traversals(*digits, tmp_path)
    picture = np.asarray(Image.open(tmp_path / WALKS[0]))
    assert picture.shape == (8 * (16 + 8 * 7), 9 * 9 * 7 - 7)
    assert all(picture[72 * row : 72 * row + 16, :60].min() < 100 for row in range(8))
