"""wandb is harmless: offline by default, never waited for, never fatal."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from running import genlab

from genlab.runs.say.dashboard import prepare_wandb, reopened
from genlab.runs.say.secrets import redact
from genlab.runs.settings.plan import Plan

pytestmark = pytest.mark.whole

NODE = {"_target_": "pytorch_lightning.loggers.WandbLogger", "mode": "online", "project": "x"}


@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:9", "http://nowhere.invalid", "http://192.0.2.1"]
)
def test_online_without_a_server_goes_offline_in_time(
    server, monkeypatch, tmp_path, capsys
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", server)
    began = time.monotonic()
    node = prepare_wandb(NODE, tmp_path)
    assert time.monotonic() - began < 5
    assert node is not None and node["mode"] == "offline"
    assert "goes on offline" in capsys.readouterr().err


def test_online_without_a_key_goes_offline(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    node = prepare_wandb(NODE, tmp_path)
    assert node is not None and node["mode"] == "offline"


def test_the_next_cell_of_a_sweep_is_offline_too(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("WANDB_MODE", "dryrun")  # what WandbLogger(offline=True) leaves behind
    node = prepare_wandb({**NODE, "mode": "offline"}, tmp_path)
    assert node is not None and node["mode"] == "offline"


def test_an_unknown_mode_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match="offline, online, disabled"):
        prepare_wandb({**NODE, "mode": "of"}, tmp_path)


MEASURED = [
    "train", "data.batch_size=16", "save_every=64", "callbacks.look.num=4", "net.width=8",
    "budget.examples=64", "look_every=32", "callbacks.ledger.log_every=1", "sampler.num_steps=2",
    "metric.num_samples=20", "trainer=cpu", "data.val_examples=64",
]  # fmt: skip
OFFLINE = {"WANDB_MODE": "offline", "WANDB_API_KEY": "canary" * 7}


def wandb_logs(run: Path) -> list[Path]:
    return sorted((run / "wandb").glob("offline-run-*/*.wandb"))


@pytest.fixture(scope="module")
def offline(tmp_path_factory) -> Path:
    """A run that was trained and measured with wandb offline, as a user does."""
    outputs = tmp_path_factory.mktemp("offline")
    done = genlab(*MEASURED, GENLAB_OUTPUTS=str(outputs), **OFFLINE)
    assert done.returncode == 0, done.stderr
    return next(outputs.rglob("config.yaml")).parent


def test_an_offline_run_holds_metrics_and_config_and_samples(offline: Path) -> None:
    written = [p for p in (offline / "wandb").rglob("*") if p.is_file()]
    log = wandb_logs(offline)[0].read_bytes()
    # a metric, a setting of the resolved config, the pictures' key
    for word in (b"train/loss", b"_target_", b"genlab.nn.unet.UNet", b"samples", b"examples"):
        assert word in log, word
    pictures = [p for p in written if p.suffix == ".png" and "media" in p.parts]
    looked = [p for p in pictures if p.parent.name != "evaluate"]
    assert len(looked) == 4, "real data, the baseline and two looks"
    for path in (p for p in offline.rglob("*") if p.is_file()):
        assert b"canarycanary" not in path.read_bytes(), path


def test_the_evaluation_goes_to_the_same_run_of_wandb(offline: Path) -> None:
    (log,) = wandb_logs(offline)
    for word in (b"evaluate/frechet_distance", b"evaluate/samples", b"evaluate/real"):
        assert word in log.read_bytes(), word
    names = {p.name.split("_")[0] for p in log.parent.rglob("*.png") if p.parent.name == "evaluate"}
    assert names == {"samples", "real"}

    done = genlab("evaluate", f"run={offline}", "seed=1", WANDB_MODE="offline")  # later, by itself
    assert done.returncode == 0, done.stderr
    later = [p for p in wandb_logs(offline) if p != log]
    assert [p.name for p in later] == [log.name], "another folder of the same run"
    assert b"evaluate/frechet_distance" in later[0].read_bytes()
    assert b"train/loss" not in later[0].read_bytes()


def test_the_evaluation_goes_to_tensorboard(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    done = genlab(*MEASURED, "logger=tensorboard", GENLAB_OUTPUTS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    run = next(tmp_path.rglob("config.yaml")).parent
    (board,) = {p.parent for p in run.rglob("events.out.tfevents*")}
    found = reader.EventAccumulator(str(board)).Reload()
    assert {"train/loss", "val/loss", "evaluate/frechet_distance"} <= set(found.Tags()["scalars"])
    assert {"samples", "real", "evaluate/samples"} <= set(found.Tags()["images"])
    assert found.Scalars("evaluate/frechet_distance")[0].step == 4
    genlab("evaluate", f"run={run}", "seed=1")
    again = reader.EventAccumulator(str(board)).Reload()
    assert len(again.Scalars("evaluate/frechet_distance")) == 2, "the same place, later"


def test_a_strangers_loggers_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "wandb" / "offline-run-20260101_000000-abc123").mkdir(parents=True)
    nodes = {
        "wandb": {**NODE, "entity": "stranger", "log_model": True, "id": "other"},
        "csv": {"_target_": "pytorch_lightning.loggers.CSVLogger", "name": "../.."},
        "mlflow": {
            "_target_": "pytorch_lightning.loggers.MLFlowLogger",
            "tracking_uri": "http://x",
        },
    }
    asked: list[Plan] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genlab.runs.say.dashboard.loggers", lambda p, *_: asked.append(p) or [])
        reopened({"logger": nodes, "trust": ["evil"]}, tmp_path)
    (plan,) = asked
    assert plan.trust == [] and list(plan["logger"]) == ["wandb"]
    assert plan["logger"]["wandb"] == {
        "_target_": NODE["_target_"], "project": "x", "mode": "offline", "id": "abc123",
    }  # fmt: skip


def test_secrets_are_blotted_out() -> None:
    found = redact(
        {"api_key": "s3", "url": "https://me:s3@host/x", "list": ["token=s3"], "tokenizer": "bpe"}
    )
    assert "s3" not in str(found) and found["tokenizer"] == "bpe"
