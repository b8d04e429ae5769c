"""A run's settings, checked whole, and what is built of them.

Read: `Plan`. Its constructor is the gate: what is no plain data, what names a class that is not
trusted and what a class does not take is refused there, once. `build` is the one call of Hydra's
`instantiate` in genlab; `model` is the one way to a model: build -> weights of named parts ->
adapt; then compile, resume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genlab.runs.gate import classes
from genlab.runs.gate.files import check_plain
from genlab.runs.say.errors import UserError, is_users, root_cause
from genlab.runs.say.secrets import restore
from genlab.shown import one_line

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genlab.data.base import DataModule
    from genlab.models.base import GenerativeModel

# what torch and Python raise where a class of ours is given a number that it cannot work with
NO_FIT = (ValueError, TypeError, RuntimeError, ZeroDivisionError, IndexError, AssertionError)


LEAST_TAKEN = 0.05  # of the weights that init_from fills: less is another net


class Plan:
    """Settings that have passed the gate; nobody writes into them."""

    def __init__(
        self, settings: dict[str, Any], trust: Sequence[str] = (), *, secrets: bool = False
    ) -> None:
        """`settings`: a run's, or those parts of them that are to be built.

        `secrets`: what came from the environment is read back from there where it is built.
        """
        check_plain(settings)
        classes.check_arguments(settings, trust)
        self.settings, self.trust, self.secrets = settings, list(trust), secrets

    def __getitem__(self, key: str) -> Any:
        return self.settings[key]

    def get(self, key: str) -> Any:
        return self.settings.get(key)

    def restored(self, place: str) -> Any:
        """What stands at a place, as it is built: a secret may hold what a resolver acts on."""
        if not self.secrets:
            return at(self.settings, place)
        node = restore(at(self.settings, place), place)
        check_plain(node, place)
        return node

    def build(self, place: str, **more: Any) -> Any:
        """The object at a place (callbacks.look); `more`: arguments that the run itself gives."""
        if not isinstance(node := self.restored(place), dict):
            raise UserError(f"{place}={node}: it must be settings of a class, with a _target_")
        if more:
            return self._made({**node, "_partial_": True}, place)(**more)
        return self._made(node, place)

    def _made(self, node: dict[str, Any], place: str) -> Any:
        from hydra.utils import instantiate

        try:
            return instantiate(node, _convert_="all")
        except Exception as error:
            cause = root_cause(error)
            if self.trust or is_users(cause) or not isinstance(cause, NO_FIT):
                raise
            for where, inner in classes.targets(node, place):
                if where != place:
                    self._made(inner, where)  # the part that fails says where it stands
            said = (str(cause).strip() or "no reason given").splitlines()[0]
            raise UserError(f"{place}: {type(cause).__name__}: {said}") from error

    def all(self, place: str) -> dict[str, Any]:
        """The objects of a group that has several by name; those that are null are left out."""
        return {k: self.build(f"{place}.{k}") for k, node in self[place].items() if node}

    def data(self) -> DataModule:
        """The data module, with what is to become of the examples that it reads."""
        data = self.build("data")
        data.edits = list(self.all("edits").values()) if self.get("edits") else []
        if "conditions" in self.settings:
            asked = classes.targets(self["conditions"], "conditions")
            found = (classes.find(n["_target_"], self.trust, place) for place, n in asked)
            data.captions_heard = any(getattr(cls, "words", False) is True for cls in found)
        return data

    def metrics(self) -> dict[str, Any]:
        """The metrics by name; what cannot be called as one is refused."""
        from genlab.metrics.several import check_metric

        built = {}
        for name, place in metric_places(self.get("metric")).items():
            cls = classes.find(at(self.settings, place)["_target_"], self.trust, place)
            if missing := sorted(getattr(cls, "__abstractmethods__", ())):
                raise UserError(f"{place}: {cls.__name__} has no {', '.join(missing)}: write it")
            built[name] = self.build(place)
            check_metric(built[name], place)
        return built

    def model_of_shapes(self) -> GenerativeModel:
        """The model on torch's meta device: shapes without memory."""
        from genlab.shapes import shapes_alone

        try:
            with shapes_alone():
                return self.model()
        except Exception as error:
            if "meta" not in str(error):
                raise
            # a network that reads a number while it is made: with memory, then
            return self.model().to("meta")

    def model(self, *, initialise: bool = False) -> GenerativeModel:
        """The model; `initialise` puts in the weights that init_from names."""
        model = self.build("model")
        model.seed = self.settings.get("seed", 0)
        if initialise and self.get("init_from"):
            model.learnt_before = take_weights(model, self.restored("init_from"))
        if self.get("adapt"):
            self.build("adapt")(model)
        return model


def at(settings: Any, place: str) -> Any:
    """What stands at a place of plain settings; None where there is nothing."""
    for part in place.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings


def metric_places(metric: Any) -> dict[str, str]:
    """Where each metric stands, by name: of one alone the name is "", of several the key."""
    if metric and not isinstance(metric, dict):
        raise UserError(f"metric={metric!s:.80}: settings of a class, or several by name")
    if not metric or "_target_" in metric:
        return {"": "metric"} if metric else {}
    for name, node in metric.items():
        if not isinstance(node, dict) or "_target_" not in node:
            raise UserError(
                f"metric.{name}={node}: several metrics are nodes by name, each a class"
            )
    return {name: f"metric.{name}" for name in metric}


# --- weights of other runs ------------------------------------------------------------------------


def named(init_from: Any) -> dict[str, str]:
    """{part: run} of what init_from says; "" is the whole model."""
    if isinstance(init_from, str):
        return {"": init_from}
    if not isinstance(init_from, Mapping) or not all(
        isinstance(v, str) for v in init_from.values()
    ):
        raise UserError(
            f"init_from={init_from}: give a run, or a run for each part: init_from={{net: RUN}}"
        )
    return {str(part): run for part, run in init_from.items()}


def take_weights(model: GenerativeModel, init_from: Any) -> list[dict[str, Any]]:
    """Start from the (averaged) weights of other runs; says what was taken, what not, and why.

    Gives the sets of examples that those runs have learnt from.
    """
    from genlab.models.base import GenerativeModel
    from genlab.runs.folder.load import read_run
    from genlab.runs.folder.trained_on import kept
    from genlab.runs.say.terminal import say

    learnt: list[dict[str, Any]] = []
    for part, run in named(init_from).items():
        if part and part not in dict(model.named_children()):
            parts = ", ".join(
                n for n, c in model.named_children() if any(True for _ in c.parameters())
            )
            raise UserError(f"init_from.{part}: the model has no such part; it has {parts}")
        target = model.get_submodule(part)
        key = f"init_from.{part}={run}" if part else f"init_from={run}"
        loaded = read_run(run)
        state = loaded["state_dict"]
        learnt += kept(loaded["genlab"])
        if part and not isinstance(target, GenerativeModel):  # a network of a like model
            state = {k[len(part) + 1 :]: v for k, v in state.items() if k.startswith(f"{part}.")}
        say(f"genlab: {key}: {one_line(_taken(target, state, key))}")
    return learnt


def _taken(target: nn.Module, state: dict[str, Tensor], key: str) -> str:
    """Put in what fits; says what was taken and what was not."""
    own = target.state_dict()
    fit = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    if not fit:
        raise UserError(
            f"{key}: none of its {len(state)} tensors fits {type(target).__name__}, which has"
            f" {', '.join(list(own)[:3])}, ...; there are {', '.join(list(state)[:3]) or 'none'}:"
            " name a run of the same family and net"
        )
    target.load_state_dict(fit, strict=False)
    other = [f"{k} is {list(state[k].shape)} there, {list(own[k].shape)} here"
             for k in own.keys() & state.keys() - fit.keys()]  # fmt: skip
    left = {
        "of another shape": sorted(other),
        "new here": sorted(own.keys() - state.keys()),
        "only there": sorted(state.keys() - own.keys()),
    }
    weights = sum(v.numel() for v in fit.values()) / max(1, sum(v.numel() for v in own.values()))
    if weights < LEAST_TAKEN:
        raise UserError(
            f"{key}: only {len(fit)} of {len(own)} tensors fit, {weights:.1%} of the weights"
            f" ({'; '.join(sorted(other)[:2])}): name a run of the same family and net"
        )
    lines = [f"{len(fit)} of {len(own)} tensors taken, {weights:.1%} of the weights"]
    for why, names in left.items():
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(f"{why}: {', '.join(names[:3])}{more}")
    return "; ".join(lines)
