"""The same corpus against plain Hydra, Lightning and torch: it bites, so that 0 means something.

Each case runs in a process of its own, forked from one that has imported the libraries, in its own
folder. `torch.load` is tried as it is by default, and with weights_only=False as many projects call
it for checkpoints that hold more than weights.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpus import CONFIGS
from strange_files import FILES
from test_configs import GATES, put
from test_strange_files import meet

from genlab.runs.say.errors import UserError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
from record import record

pytestmark = pytest.mark.faults
LIMIT = 20  # seconds a case may take


def took_effect(folder: Path, marker: Path, work: Callable[[], Any]) -> bool:
    """Whether the marker is there after `work` in a forked process."""
    child = os.fork()
    if not child:
        try:
            os.setsid()
            signal.alarm(LIMIT)
            os.chdir(folder)
            with open(os.devnull, "w") as sink:
                os.dup2(sink.fileno(), 1)
                os.dup2(sink.fileno(), 2)
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return marker.exists() or marker.is_symlink() or any(folder.glob("marker*"))


def plain_node(payload: dict[str, Any]) -> None:
    from hydra.utils import instantiate

    settings: dict[str, Any] = {}
    put(settings, payload["place"], payload["node"])
    instantiate(settings)


def plain_folder(files: dict[str, str], folder: Path) -> None:
    """An ordinary Hydra program: main on genlab's conf, then `instantiate` of what it composed."""
    import hydra
    from hydra.utils import instantiate

    from genlab.runs.settings.conf import conf_dir

    for name, text in files.items():
        (folder / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "conf" / name).write_text(text)
    sys.argv = ["x", "--config-dir", str(folder / "conf"), "experiment=evil"]
    wanted = ("model", "callbacks", "metric", "logger", "a", "e", "x")

    def job(cfg: Any) -> None:
        for key in wanted:
            if cfg.get(key):
                instantiate(cfg[key])

    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="train")(job)()


def plain_settled(changes: dict[str, Any]) -> None:
    from hydra.utils import instantiate

    for value in changes.values():
        if isinstance(value, dict):
            instantiate(value)


def test_plain_hydra_is_bitten_by_the_configs(tmp_path_factory) -> None:
    import hydra
    import torch  # noqa: F401  before the forks

    bitten, tried = [], [c for c in CONFIGS if c.kind in ("node", "folder", "settled")]
    for config in tried:
        folder = tmp_path_factory.mktemp("b")
        marker = folder / "marker"
        payload = config.make(folder, str(marker))
        work = {
            "node": lambda p=payload: plain_node(p),
            "folder": lambda p=payload, f=folder: plain_folder(p, f),
            "settled": lambda p=payload: plain_settled(p),
        }[config.kind]
        if took_effect(folder, marker, work):
            bitten.append(config.name)
    note = f"Hydra {hydra.__version__}: {len(bitten)} of {len(tried)} took effect"
    record("hostile configs, plain Hydra", len(tried), len(bitten), note, control=True)
    print(note, *bitten, sep="\n")
    assert len(bitten) >= 40, bitten


def test_plain_loaders_are_bitten_by_the_files(tmp_path_factory) -> None:
    import numpy as np
    import torch
    from pytorch_lightning import LightningModule

    def lightning(path: Path) -> None:
        LightningModule.load_from_checkpoint(path, weights_only=False)

    def by_ending(path: Path) -> None:
        if path.suffix in (".npy", ".npz"):
            for value in [np.load(path, allow_pickle=True)]:
                _ = value["arr_0"] if path.suffix == ".npz" else value
        elif path.is_dir():
            torch.distributed.checkpoint.FileSystemReader(path).read_metadata()
        else:
            torch.load(path, weights_only=False)

    loaders = {"torch.load": torch.load, "weights_only=False": by_ending, "Lightning": lightning}
    tried = [f for f in FILES if f.pickled]
    counts = {}
    for name, loader in loaders.items():
        bitten = 0
        for file in tried:
            folder = tmp_path_factory.mktemp("b")
            path = file.make(folder, str(folder / "marker"))
            bitten += took_effect(folder, folder / "marker", lambda p=path, f=loader: f(p))
        counts[name] = bitten
    note = f"of {len(tried)} pickles took effect: {counts}"
    record("hostile pickles, plain loaders", len(tried), max(counts.values()), note, control=True)
    print(note)
    assert counts["weights_only=False"] >= 20, counts


def test_genlab_is_not(tmp_path_factory, monkeypatch) -> None:
    """The sum for the table: the whole corpus, as test_configs and test_strange_files meet it."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    refusals = (UserError, ValueError, FileNotFoundError)
    cases = {
        "hostile configs refused": [
            (c, lambda folder, p, c=c: GATES[c.kind](p, folder)) for c in CONFIGS
        ],
        "hostile files refused": [(f, lambda folder, p, f=f: meet(f, p)) for f in FILES],
    }
    for name, corpus in cases.items():
        refused = 0
        for case, work in corpus:
            folder = tmp_path_factory.mktemp("g")
            monkeypatch.setenv("GENLAB_CACHE", str(folder / "cache"))
            payload = case.make(folder, str(folder / "marker"))
            with contextlib.suppress(*refusals):
                work(folder, payload)
                continue
            refused += not any(folder.glob("marker*"))
        record(name, len(corpus), refused)
        assert refused == len(corpus)
