"""A value in 1 % of a table's rows: the conditional vector draws it, a plain GAN leaves it out.

Truth is the law that the rows are made by. Seeds 1 and 2 gave the same when this was written.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from genlab.data.sources.tables import CsvFile
from genlab.data.table import Table
from genlab.data.table_by_value import TableByValue
from genlab.models.conditions import OneValue
from genlab.models.gan import GAN
from genlab.nn.table_gan import PackDiscriminator, TableGenerator
from genlab.objectives.adversarial import WGANGP
from genlab.optim import Optim
from genlab.samplers.latent import Prior

pytestmark = pytest.mark.whole
STEPS, ROWS = 400, 4000
SIZE = {"rare": 6.0, "red": -2.0, "green": 2.0}  # the mean of a hue's rows, whose deviation is 1


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    draws = torch.Generator().manual_seed(0)
    u, normal = torch.rand(2000, generator=draws), torch.randn(2000, generator=draws)
    hues = ["rare" if i % 100 == 3 else "red" if u[i] < 0.4 else "green" for i in range(2000)]
    lines = [
        f"{SIZE[hue] + n:.3f},{hue},{'yn'[i % 2]}" for i, (hue, n) in enumerate(zip(hues, normal))
    ]
    path = tmp_path_factory.mktemp("rare") / "rows.csv"
    path.write_text("\n".join(["size,hue,ill", *lines]) + "\n")
    return path


def trained(family: type[Table], path: Path) -> tuple[Table, GAN]:
    settings = {"shape": None, "widths": None, "batch_size": 128, "seed": 0}
    data = family(source=CsvFile(path=str(path)), **settings)
    data.load()
    torch.manual_seed(0)
    nets = {"num_classes": data.num_classes, "width": 64}
    by_value = isinstance(data, TableByValue)
    model = GAN(
        TableGenerator(widths=data.widths, latent_dim=8, **nets),
        PackDiscriminator(data.shape, pack=1, **nets),
        objective=WGANGP(critic_steps=1),
        sampler=Prior(),
        shape=data.shape,
        latent_dim=8,
        conditions=OneValue(widths=data.widths, counts=data.counts) if by_value else None,
        optim=Optim(partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.9))),
    )
    trainer = pl.Trainer(
        max_steps=STEPS, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    batches = [data.train_batch(k) for k in range(STEPS)]
    trainer.fit(model, DataLoader(batches, batch_size=None))
    return data, model


def test_a_plain_gan_draws_none_of_forty(path) -> None:
    data, model = trained(Table, path)
    assert sum(row["hue"] == "rare" for row in data.decode(model.sample(ROWS))) <= 4


def test_what_is_asked_for_is_drawn_and_so_it_comes_unasked(path) -> None:
    data, model = trained(TableByValue, path)
    for hue in SIZE:
        asked = data.asked(500, cond={"hue": hue})[0]
        rows = data.decode(model.sample(500, asked))
        assert sum(row["hue"] == hue for row in rows) >= 490, hue
        size = sum(row["size"] for row in rows) / len(rows)
        assert size == pytest.approx(SIZE[hue], abs=2.0), (
            hue
        )  # and the rest of the row goes with it
    drawn = [row["hue"] for row in data.decode(model.sample(ROWS))]
    # half of the rows are asked for their hue, 1 % of these for the rare one
    assert 8 <= drawn.count("rare") <= 60
