"""The plan of a run: what its data finds, which nets fit, and where a part that cannot be is."""

from __future__ import annotations

import copy
import math
import re
import sys
from pathlib import Path

import pytest
import torch
from running import settled

from genlab.runs.folder.layout import find_run
from genlab.runs.say.errors import UserError
from genlab.runs.settings.compose import plan_of
from genlab.runs.settings.mistakes import check_words, explain
from genlab.runs.settings.plan import Plan
from genlab.shapes import shapes_alone

OWN = """
from genlab.data.images import Images


class Own(Images):
    finds = ("std",)

    def found(self):
        return {"std": 0.25}
"""


def test_a_new_kind_of_data_says_itself_what_it_finds(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "own_data.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    words = ["data._target_=own_data.Own", "trust=[own_data]"]
    found = settled([*words, "data.std=null"])
    assert found["data"]["std"] == found["space"]["std"] == 0.25  # what follows from it too
    assert settled([*words, "data.std=0.5"])["data"]["std"] == 0.5  # stated: not asked for
    with pytest.raises(UserError, match="sigma_data=None"):
        settled(["data.std=null"])  # a kind that finds nothing
    sys.modules.pop("own_data", None)


def test_what_the_data_finds_is_asked_for_before_what_needs_it() -> None:
    with pytest.raises(Exception, match=r"data\.path=null: which file"):
        settled(["data=table", "model=autoregressive"])  # its net asks for ${space.shape[0]}


@pytest.mark.parametrize(
    ("words", "fit"),
    [
        (["model=vae", "net=unet"], "conv_codec, conv_vae, mlp_vae, plain_vae"),
        (["model=vae", "net=conv_vq"], "conv_codec, conv_vae, mlp_vae, plain_vae"),
        (["model=ladder_vae", "net=conv_vae"], "ladder, mlp_ladder"),
        (["model=vae", "net=ladder"], "conv_codec, conv_vae, mlp_vae, plain_vae"),
        (["model=gan", "net=unet"], "dcgan, mlp_gan, pacgan, resgan, stylegan, table_gan"),
        (["model=gan", "net=unet"], "dcgan, mlp_gan, pacgan, resgan, stylegan, table_gan"),
    ],
)
def test_the_nets_that_fit_have_all_that_the_model_asks_for(words, fit: str) -> None:
    with pytest.raises(UserError, match=f"nets that fit: {fit}$"):
        settled(words)


def test_the_data_that_fit_are_made_of_what_the_model_takes() -> None:
    with pytest.raises(
        UserError,
        match=r"data=adult_tokens, binary_mnist_pixels, digits_pixels, html_folder, jsb_events, ",
    ):
        settled(["model=autoregressive"])
    with pytest.raises(
        UserError,
        match=r"write model=autoregressive, masked_diffusion; .* data=adult, .* video_folder$",
    ):
        settled(["data=stdlib_code", "model=diffusion"])


def test_the_part_that_cannot_be_made_says_where_it_stands() -> None:
    settings = copy.deepcopy(settled(["data=ring", "net=mlp"]))
    settings["model"]["net"]["shape"] = [-2]
    with pytest.raises(UserError, match=r"^model\.net: RuntimeError: .*negative"):
        Plan(settings).build("model")


def test_nothing_is_not_built_in_silence() -> None:
    plan = Plan({"callbacks": {"a.b": {"_target_": "genlab.callbacks.ledger.Ledger"}}})
    with pytest.raises(UserError, match=r"callbacks\.a\.b=None"):
        plan.all("callbacks")


def test_a_secret_that_a_resolver_would_act_on_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "${oc.env:HOME}")
    node = {"_target_": "genlab.metrics.image.ImageEvaluation", "cache": "[redacted:$MY_TOKEN]"}
    with pytest.raises(UserError, match="not allowed in a settled value"):
        Plan({"x": node}, secrets=True).restored("x")
    assert Plan({"x": node}).restored("x") == node


def test_a_folder_of_runs_names_the_newest(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("")
        (tmp_path / name / "provenance.json").write_text(f'{{"started": {ord("c") - ord(name)}}}')
    with pytest.raises(UserError, match=f"newest in it: {tmp_path / 'a'}$"):
        find_run(tmp_path)


def test_a_discriminators_optimiser_is_the_generators_but_for_what_is_set() -> None:
    both = settled(["model=gan", "optim.optimizer.lr=1e-4", "optim.warmup=7"])["model"]
    assert both["optim_discriminator"] == both["optim"]
    assert both["optim"]["optimizer"]["lr"] == 1e-4
    words = ["model=gan", "optim.optimizer.lr=1e-4", "optim_discriminator.optimizer.lr=4e-4"]
    two = settled([*words, "optim_discriminator.warmup=9"])["model"]
    expected = {**two["optim"], "warmup": 9}
    expected["optimizer"] = {**two["optim"]["optimizer"], "lr": 4e-4}
    assert two["optim_discriminator"] == expected and two["optim"]["optimizer"]["lr"] == 1e-4
    muon = settled(["model=gan", "optim=muon", "optim_discriminator.weight_decay=0.0"])["model"]
    assert muon["optim_discriminator"] == {**muon["optim"], "weight_decay": 0.0}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["optim_discriminator.optimizer.lrr=1"], "no key 'lrr' in .*optimizer; nearest: lr"),
        (["model=vae", "augment=ada"], "augment=ada: this model has no augment; model=gan would"),
        (["augment=adda"], "augment=adda: there is no such option; nearest: ada"),
    ],
)
def test_a_group_that_only_some_models_have(words, line: str) -> None:
    words = words if "model=vae" in words else ["model=gan", *words]
    with pytest.raises(Exception) as refused:
        plan_of(words)
    assert re.search(line, explain(refused.value, words))
    with pytest.raises(UserError, match="augment is given twice"):
        check_words(["augment=ada", "augment=diffaugment"])


def test_a_codes_laws_fit_a_vector_and_a_map() -> None:
    words = ["data=digits", "model=vae", "posterior=iaf", "prior=flow", "conditions=none"]
    for net, size in (("conv_vae", 32), ("conv_codec", 16)):
        model = plan_of([*words, f"net={net}"])[0].model_of_shapes()
        assert model.posterior.flow.context == size == math.prod(model.latent_shape)
        x = torch.zeros(2, 1, 8, 8, device="meta")
        with shapes_alone():
            assert model.loss({"x": x})["loss"].shape == (2,)
