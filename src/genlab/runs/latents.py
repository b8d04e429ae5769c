"""Latents of a fixed codec, made once for a run that sees its examples more than once."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from genlab.callbacks.meter import Meter
from genlab.data.latents import WithLatents, kept, refusal
from genlab.metrics.features import weights_hash
from genlab.models.latent import Latent
from genlab.runs.devices.precision import device_of
from genlab.runs.say.terminal import say
from genlab.runs.settings.plan import Plan

# settings of the data that change nothing of what an example of train is
OTHER = ("batch_size", "num_workers", "val_examples", "seed")


def keep_latents(plan: Plan, data: Any, model: Any, held: dict[str, Any]) -> None:
    """Let `data` serve the codec's latents beside its training examples, where `model` has a codec
    and the run sees every example twice and more.

    `held`: the checkpoint that the run goes on from, whose codec it is; {} where there is none.
    """
    if not isinstance(model, Latent) or not model.keep:
        return
    if data.endless or plan["budget"]["examples"] < 2 * len(data.train):
        return
    if why := refusal(data.train):
        say(f"genlab: the codec encodes in every step, for {why}; model.keep=false says nothing")
        return
    device = device_of(plan["trainer"])
    codec = model.codec
    if held:  # the rest of it is put back by the trainer
        own = {k: v for k, v in held["state_dict"].items() if k.startswith("codec.")}
        codec.load_state_dict({k.removeprefix("codec."): v for k, v in own.items()})

    def encode(x: Tensor) -> Tensor:
        with model.drawing():
            return codec.encode(x.to(device))

    settings = {k: v for k, v in plan["data"].items() if k not in OTHER}
    made_of = {
        "data": data.fingerprint(),
        "settings": repr(sorted(settings.items())),
        "codec": f"{type(codec).__qualname__} {codec.latent_shape} {weights_hash(codec)}",
    }
    codec.to(device)
    with Meter("encoding") as meter:
        latents = kept(data.train, encode, made_of, vocab=codec.latent_vocab, tell=meter)
    codec.to("cpu")
    data.serve(WithLatents(data.train, latents))
