"""Every group composes; every experiment and every model runs, shrunk; errors name their remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CONF
from running import TINY, children_seconds, fit, genlab, genlab_here, settled, valid_checkpoints

from genlab.rows import read_rows
from genlab.runs.folder.checkpoint import newest
from genlab.runs.settings.compose import plan_of

EXPERIMENTS = sorted(p.stem for p in (CONF / "experiment").glob("*.yaml"))
NEEDS_FILES = {
    "adult": "adult", "emoji": "emoji-google", "esc10": "esc10", "fashion": "fashion-mnist",
    "fsdd": "fsdd",
    "jsb": "jsb-chorales", "lpc": "lpc-sprites", "nltcs": "debd", "nottingham": "nottingham",
    "shakespeare": "tinyshakespeare",
}  # fmt: skip
# experiments on latents, and the experiment that trains their codec
CODECS = {
    "captioned_codes": "captioned_vq",
    "fashion_latent_diffusion": "fashion_kl_vae",
    "fashion_vq_gpt": "fashion_vqvae",
}
SMALL_NETS = {
    "unet": ["net.width=8"], "video_unet": ["net.width=8", "net.multipliers=[1,2]",
    "net.attention=[2]"], "dit": ["net.width=16", "net.depth=1"], "mlp": ["net.width=16"],
    "gpt": ["net.width=16", "net.depth=1", "net.heads=2"],
    "bidirectional": ["net.width=16", "net.depth=1", "net.heads=2"], "gru": ["net.width=16"],
    "realnvp": ["net.width=16", "net.steps=2"], "glow": ["net.width=16", "net.steps=2"],
    "lstm": ["net.width=16"], "frame_rnn": ["net.width=16"], "frame_gru": ["net.width=16"],
    "frame_lstm": ["net.width=16"], "tcn": ["net.width=16"],
    "mlp_vae": ["net.encoder.width=16", "net.decoder.width=16"],
    "dcgan": ["net.generator.width=8", "net.discriminator.width=8"],
    "resgan": ["net.widths=[8,8,8]", "net.generator.group=8", "net.discriminator.group=8"],
    "mlp_gan": ["net.generator.width=16", "net.discriminator.width=16"],
    "table_gan": ["net.generator.width=16", "net.discriminator.width=16"],
    "ladder": ["net.widths=[16,8,8]"],
    "mlp_ladder": ["net.bottom_up.width=16", "net.top_down.width=16"],
    **{n: ["net.encoder.width=8", "net.decoder.width=8"]
       for n in ("conv_vae", "conv_codec", "conv_vq", "conv_vqgan", "wave_codec",
       "spectrum_codec")},
}  # fmt: skip


def shrunk(name: str) -> list[str]:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", [f"experiment={name}"], return_hydra_config=True)
    net = cfg.hydra.runtime.choices.get("net")
    more = (
        ["data.limit=200"]
        if name.startswith(("fashion", "adult", "emoji", "fsdd", "esc10", "lpc"))
        else []
    )
    large = ("fashion", "adult", "emoji", "fsdd", "esc10", "lpc")
    more = ["data.limit=200"] if name.startswith(large) else []
    more += ["data.counts=null"] if cfg.data.get("counts") else []  # they are the whole table's
    few = ["sampler.num_steps=4"] if "num_steps" in (cfg.get("sampler") or {}) else []
    return [f"experiment={name}", *SMALL_NETS.get(net, []), *few, *more]


@pytest.mark.whole
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_shrunk(name: str, tmp_path: Path, request) -> None:
    if name.split("_")[0] in NEEDS_FILES:
        folder = request.getfixturevalue("data_root") / NEEDS_FILES[name.split("_")[0]]
        if not folder.is_dir():
            pytest.skip(f"GENLAB_DATA has no {folder.name}")
    first = []
    if codec := CODECS.get(name):
        first = [f"codec={fit(shrunk(codec), tmp_path / 'codec')}"]
    run = fit([*shrunk(name), *first], tmp_path / "run")
    rows = read_rows(run / "metrics.jsonl")
    looks = [r for r in rows if r["kind"] == "look"]
    trained = [r for r in rows if r["kind"] == "train"]
    assert [r["examples"] for r in looks] == [0, 128, 256]
    assert [r["batches"] for r in trained] == list(range(1, 17))  # a batch is a step, in a GAN too
    assert all(r["examples"] == 16 * r["batches"] for r in rows)
    # three looks, and real data
    assert len({p.stem for p in (run / "samples").iterdir()}) == 4
    good, notices = valid_checkpoints(run)
    assert [p.name for p in good] == [
        "examples=000000000256.ckpt", "examples=000000000128.ckpt"
    ] and not notices  # fmt: skip


@pytest.mark.parametrize("data", ["ring", "grid", "moons", "spirals", "checkerboard"])
def test_every_toy_composes_with_every_family(data: str) -> None:
    nets = {"gan": "mlp_gan", "vae": "mlp_vae", "diffusion": "mlp", "normalising_flow": "maf"}
    for model, net in nets.items():
        settled([f"data={data}", f"model={model}", f"net={net}"])


# what a model's parts are where only the data is named, by the kind that the data's file states
OWN_PARTS = {
    ("digits", "vae"): ("conv_vae", "elbo", "prior"),
    ("ring", "vae"): ("mlp_vae", "elbo_gaussian", "prior_noise"),
    ("adult", "vae"): ("mlp_vae", "elbo_table", "prior_noise"),
    ("digits", "ladder_vae"): ("ladder", "elbo_ladder", "prior"),
    ("ring", "ladder_vae"): ("mlp_ladder", "elbo_ladder_gaussian", "prior_noise"),
    ("adult", "ladder_vae"): ("mlp_ladder", "elbo_ladder_table", "prior_noise"),
    ("fsdd", "ladder_vae"): ("ladder", "elbo_ladder_gaussian", "prior"),
    ("digits", "gan"): ("dcgan", "nonsaturating", "prior"),
    ("ring", "gan"): ("mlp_gan", "nonsaturating", "prior"),
    ("adult", "gan"): ("mlp_gan", "nonsaturating", "prior"),
    ("digits", "diffusion"): ("unet", "edm", "heun"),
    ("ring", "diffusion"): ("mlp", "edm", "heun"),
    ("adult", "diffusion"): ("mlp_table", "edm", "heun"),
    ("adult", "flow_matching"): ("mlp_table", "flow", "heun"),
    ("fsdd", "vae"): ("conv_vae", "elbo_gaussian", "prior"),
    ("fsdd", "gan"): ("dcgan", "nonsaturating", "prior"),
    ("esc10", "diffusion"): ("unet", "edm", "heun"),
    ("fsdd_waves", "vqgan"): ("wave_codec", "spectral_rvq", None),
    ("digits", "vqgan"): ("conv_vqgan", "vq", None),
    ("video_folder", "diffusion"): ("video_unet", "edm", "heun"),
    ("moving_digits", "flow_matching"): ("video_unet", "flow", "heun"),
    ("digits", "normalising_flow"): ("glow", "dequantised", "prior"),
    ("ring", "normalising_flow"): ("realnvp", "change_of_variables", "prior"),
    ("adult", "normalising_flow"): ("realnvp", "dequantised_rows", "prior"),
    ("fsdd", "normalising_flow"): ("glow", "change_of_variables", "prior"),
    ("lpc_actions", "normalising_flow"): ("realnvp", "change_of_variables", "prior"),
    ("lpc_actions", "vae"): ("mlp_vae", "elbo_gaussian", "prior"),
    ("lpc_actions", "gan"): ("mlp_gan", "nonsaturating", "prior"),
}


@pytest.mark.parametrize(("data", "model"), OWN_PARTS)
def test_a_models_parts_follow_the_kind_of_data(data: str, model: str) -> None:
    choices = plan_of([f"data={data}", f"model={model}"])[1]
    assert tuple(choices[g] for g in ("net", "objective", "sampler")) == OWN_PARTS[data, model]


@pytest.mark.parametrize(
    ("words", "latent"),
    [(["model=vqvae"], [4]), (["model=vqvae", "data=mnist"], [49]),
     (["model=vae", "net=conv_codec", "data=cifar10"], [4, 8, 8]),
     (["model=vqvae", "net.latent_map=[16,4,4]"], [16])],
)  # fmt: skip
def test_a_codecs_latent_map_is_a_quarter_of_each_side(words, latent) -> None:
    plan = plan_of(words)[0]
    assert plan["model"]["latent_shape"] == latent
    plan.model_of_shapes()


def test_a_part_that_is_named_stands_whatever_the_data() -> None:
    choices = plan_of(["data=adult", "model=vae", "objective=elbo_gaussian"])[1]
    assert (choices["net"], choices["objective"]) == ("mlp_vae", "elbo_gaussian")


def test_each_data_file_states_its_metrics_kind() -> None:
    """`kind` says which parts fit, `metric` what measures: both, of points and rows.

    Waveforms are measured as sounds, and have nets of their own.
    """
    for file in sorted((CONF / "data").glob("*.yaml")):
        text = file.read_text()
        metrics = {"video": ("video", "captioned_video", "moving_digits")}
        for kind in ("points", "table", "sound", "video"):
            names = metrics.get(kind, (kind,))
            measured = any(f"override /metric@_global_.metric: {n}\n" in text for n in names)
            fits = (kind, "wave") if kind == "sound" else (kind,)
            stated = any(f"override /kind@_global_.kind: {k}\n" in text for k in fits)
            assert measured == stated, file


@pytest.mark.parametrize("model", ["vae", "diffusion", "normalising_flow"])
def test_a_table_of_ones_own_runs_with_nothing_else(model: str, tmp_path: Path) -> None:
    file, run = tmp_path / "people.csv", tmp_path / "run"
    rows = [f"{20 + i % 50},{'abc'[i % 3]},{i * 0.5}" for i in range(200)]
    file.write_text("\n".join(["age,job,pay", *rows]))
    words = ["data=table", f"data.path={file}", f"model={model}"]
    done = genlab_here("train", *words, *TINY, f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    drawn = (run / "samples" / "000000000256.csv").read_text().splitlines()
    assert drawn[0] == "age,job,pay" and len(drawn) == 5


@pytest.mark.parametrize("trainer", sorted(p.stem for p in (CONF / "trainer").glob("*.yaml")))
def test_every_trainer_composes(trainer: str) -> None:
    assert (
        settled([f"trainer={trainer}"])["trainer"]["_target_"]
        == "genlab.runs.devices.trainer.Trainer"
    )


@pytest.mark.parametrize("debug", ["smoke", "overfit", "profile"])
def test_every_debug_option_composes(debug: str) -> None:
    settled([f"debug={debug}"])


MISTAKES = {
    "key": (["net.wdith=64"], "net.wdith", "width"),
    "top": (["budgt.examples=3"], "budgt", "budget"),
    "option": (["model=gna"], "model=gna", "gan"),
    "group": (["modle=gan"], "modle", "model"),
    "net": (["model=gan", "net=unet"], "net.generator", "dcgan"),
    "tokens": (["model=autoregressive"], "needs tokens", "digits_pixels"),
    "no tokens": (["model=diffusion", "data=stdlib_code"], "images or points", "=autoregressive"),
    "a batch": (
        ["data=ring", "data.batch_size=10_000_000", "budget.examples=20_000_000"],
        "data.batch_size=10000000",
        "write data.batch_size=",
    ),
    "shape": (["data.shape=[1,9,9]"], "data.shape=[1,9,9]", "data.shape=[1,8,8]"),
    "classes": (["data.num_classes=12"], "data.num_classes=12", "10"),
    "batch": (["data.batch_size=0"], "data.batch_size", "1"),
    "bare": (["fashion_diffusion"], "fashion_diffusion", "experiment=fashion_diffusion"),
    "resume": (["resume=nowhere"], "nowhere", "config.yaml"),
    "init": (["init_from=nowhere.ckpt", "logger=none"], "nowhere.ckpt", "config.yaml"),
    "argument": (["+net.colour=red"], "net.colour", "UNet takes no"),
    "target": (["model._target_=os.system"], "os.system", "trust="),
    "several": (["seed=1,2"], "seed=1,2", "-m"),
    "folder": (["--config-dir", "nowhere"], "nowhere", "no such folder"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_with_the_remedy(name: str, tmp_path: Path, monkeypatch) -> None:
    arguments, what, remedy = MISTAKES[name]
    outputs = tmp_path / "o"
    monkeypatch.setenv("GENLAB_OUTPUTS", str(outputs))
    done = genlab_here("train", *arguments)
    lines = [x for x in done.stderr.splitlines() if f" in {outputs}" not in x]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1 and lines[0].startswith("genlab: "), done.stderr
    assert what in lines[0] and remedy in lines[0], lines[0]
    assert not list(outputs.rglob("*")), "something half-written was left"


def test_a_mistake_as_a_user_meets_it(tmp_path: Path) -> None:
    done = genlab("train", "model=autoregressive", GENLAB_OUTPUTS=str(tmp_path / "o"))
    assert done.returncode == 2 and "digits_pixels" in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize("command", ["train", "sample", "evaluate", "report", "check"])
def test_help_and_missing_runs(command: str, tmp_path: Path) -> None:
    if command in ("sample", "evaluate", "report"):
        done = genlab_here(command, f"run={tmp_path / 'none'}")
        assert done.returncode == 2 and (
            "no run folder" in done.stderr or "no such folder" in done.stderr
        ), done.stderr
        assert done.stderr.count("\n") == 1


def test_list_and_help_answer_at_once() -> None:
    """The bar is 1 s on an idle machine of today: here, in what importing Hydra costs beside it."""
    for arguments, times in ((["--help"], 2), (["list"], 5), (["train", "net.wdith=3"], 9)):
        seconds, beside = [], []
        for _ in range(2):
            before = children_seconds()
            subprocess.run([sys.executable, "-c", "import hydra"], check=True)
            beside.append(children_seconds() - before)
            done = genlab(*arguments)
            seconds.append(children_seconds() - before - beside[-1])
        assert min(seconds) < times * min(beside), (arguments, seconds, beside)
    assert "digits_diffusion" in genlab("list", "experiment").stdout
    assert done.returncode == 2


def test_check_takes_own_files_and_refuses_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "mine.yaml").write_text("defaults: [mlp]\nwidth: 48\n")
    done = genlab_here("check", "data=ring", "net=mine", "--config-dir", str(tmp_path))
    assert done.returncode == 0 and "net=mine" in done.stdout and "44,786" in done.stdout, done
    done = genlab_here("check", "-m", "seed=1,2")
    assert done.returncode == 2 and "leave out -m" in done.stderr, done.stderr


def test_a_run_folder_that_holds_a_linked_file_is_not_written_into(tmp_path: Path) -> None:
    run = fit(["data=ring", "model=diffusion", "net=mlp", "net.width=16"], tmp_path / "run")
    mine = tmp_path / "mine"
    mine.write_text("dear")
    for name in ("metrics.damaged.jsonl", ".writer", "samples/new.png"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(mine)
        for words in (["train", f"resume={run}"], ["evaluate", f"run={run}"]):
            done = genlab_here(*words)
            assert done.returncode == 2 and f"{name} is a link" in done.stderr, done.stderr
        (run / name).unlink()
    assert mine.read_text() == "dear"


def test_newest_needs_a_run(tmp_path: Path) -> None:
    from genlab.runs.say.errors import UserError

    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match="no valid checkpoint"):
        newest(tmp_path)


def test_a_file_cannot_trust_a_package(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\n# a stranger's\ntrust: [os]\nmodel: {_target_: os.system}\n"
    (tmp_path / "experiment" / "evil.yaml").write_text(text)
    done = genlab("train", "--config-dir", str(tmp_path), "experiment=evil")
    assert done.returncode == 2 and "command line only" in done.stderr, done.stderr


WRONG = {
    "net.width=x": "net.width=x: it must be a whole number",
    "net.width=-3": "net.width=-3: it must be a whole number, at least 1",
    "objective=elbo": "objective=consistency, ddpm, drifting, edm, flow",
    "model=gan objective=elbo": "objective=hinge, least_squares, nonsaturating, relativistic, "
    "wgan_gp",
    "sampler=top_p": "sampler=ancestral, consistency, ddim, dpmpp, dpmpp_3m",
    "net=dcgan": "model.net",
    "metric=text": "metric measures text data",
    "metric.num_samples=0": "metric.num_samples=0",
    "optim.optimizer.lr=-1": "optim.optimizer.lr=-1",
    "optim.optimizer.betas=[2,3]": "optim.optimizer",
    "optim.final=2": "optim.final=2",
    "callbacks.look.num=-1": "callbacks.look.num=-1",
    "callbacks.ledger=null": "callbacks.ledger=null",
    "callbacks.checkpoint=null": "evaluate=false",
    "data.flip=maybe": "data.flip=maybe: it must be true or false",
    "evaluate=maybe": "evaluate=maybe",
    "trust=foo": "'trust=[foo]'",
    "trainer.clip=-1": "trainer.clip=-1",
    "trainer.threads=0": "trainer.threads=0",
    "trainer.precision=64-true": "allowed are auto, 32-true",
    "budget.minutes=0": "budget.minutes=0",
    "seed=-1": "seed=-1",
}


@pytest.mark.parametrize("command", ["check", pytest.param("train", marks=pytest.mark.faults)])
@pytest.mark.parametrize("words", WRONG)
def test_wrong_values_are_one_line_before_anything_is_trained(
    command: str, words: str, tmp_path: Path
) -> None:
    run = [f"hydra.run.dir={tmp_path / 'run'}"] if command == "train" else []
    done = genlab_here(command, *words.split(), *run)
    lines = [x for x in done.stderr.splitlines() if not x.endswith(str(tmp_path / "run"))]
    assert done.returncode == 2 and len(lines) == 1 and WRONG[words] in lines[0], done.stderr
    assert not (tmp_path / "run").exists()
