"""A seat: one trained run that is asked, with its model, its data, and the samplers that fit it.

A run is loaded as `genlab sample` loads it, from its checkpoint alone and through the same gate.
Another sampler, or other knobs of it, are set where the model stands: it is not loaded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from genlab.data.asks import Ask
from genlab.runs.gate import classes
from genlab.runs.playground.knobs import Knob, knobs_of
from genlab.runs.settings.conf import options
from genlab.runs.settings.overrides import Change, changed, drawer
from genlab.runs.settings.plan import Plan
from genlab.runs.sweeps.cells import own_words, read_cell

OWN = "as trained"  # the sampler that the run's settings hold


@dataclass
class Seat:
    """One run, ready to draw. `checkpoint` is the sha256 of the file its weights come from."""

    name: str
    path: str
    home: Path
    model: Any
    data: Any
    settings: dict[str, Any]
    checkpoint: str
    trust: list[str]
    own: dict[str, Any] = field(default_factory=dict)  # what a checkpoint says beside its weights
    asks: tuple[Ask, ...] = ()
    samplers: dict[str, tuple[Knob, ...]] = field(default_factory=dict)
    now: dict[str, Any] = field(default_factory=dict)  # the sampler that the model has now

    def changes(self, sampler: str, knobs: list[Change]) -> list[Change]:
        """The words of a command line for a sampler by its name on the page, and its knobs."""
        return [*([("sampler", sampler)] if sampler != OWN else []), *knobs]

    def take(self, changes: list[Change]) -> dict[str, Any]:
        """Let the model draw with the run's sampler, changed; gives the sampler's settings."""
        from genlab.shapes import shapes_alone

        settings = changed(self.settings, changes, self.trust)
        sampler = drawer(settings["model"]).get("sampler") or {}
        if sampler != self.now:
            parts = {k: self.settings[k] for k in ("seed", "adapt") if k in self.settings}
            parts["model"] = {**settings["model"], "optim": None}
            with shapes_alone():  # what the model itself refuses; no weights are made
                built = Plan(parts, self.trust).model()
            _holder(self.model).sampler = _holder(built).sampler
            self.now = sampler
        return sampler


def _holder(model: Any) -> Any:
    """The model that has the sampler: of a model of latents its prior, as `drawer` says."""
    return model if "sampler" in vars(model) else _holder(model.prior)


def _name(path: Path, settings: dict[str, Any]) -> str:
    """A run by its name; a cell of a sweep by its folder and the words that are its own too."""
    name = str(settings.get("name") or path.name)
    if not (path.parent / "multirun.yaml").is_file():
        return name
    own = own_words(path, read_cell(path).words)
    return f"{path.name} {own}"[:80] if own else name


def open_seat(path: str, *, device: str, trust: list[str], name: str = "") -> Seat:
    """Load a run: its weights, what it can be asked for, and the samplers that fit it."""
    from genlab.runs.folder.layout import file_hash
    from genlab.runs.folder.load import find_weights, load_data, load_model, read_run
    from genlab.runs.sample import home

    file = find_weights(path)
    own = read_run(path)["genlab"]
    settings = own["settings"]
    data, model = load_data(path, trust=trust), load_model(path, trust=trust)
    seat = Seat(
        name=name or _name(Path(path), settings),
        path=path,
        home=home(path),
        model=model.to(device),
        data=data,
        settings=settings,
        checkpoint=file_hash(file),
        trust=trust,
        own=own,
        asks=heard(model, data.asks()),
        now=drawer(settings["model"]).get("sampler") or {},
    )
    seat.samplers = dict(samplers_of(seat))
    return seat


def heard(model: Any, asks: tuple[Ask, ...]) -> tuple[Ask, ...]:
    """Of what the data can be asked for, what the model hears."""
    return tuple(
        ask
        for ask in asks
        if (model.conditions.some if ask.known == "nothing" else model.knows in (ask.known, "any"))
    )


def samplers_of(seat: Seat) -> Iterator[tuple[str, tuple[Knob, ...]]]:
    """(name, knobs) of the run's own sampler, then of every other in conf that fits its model."""
    if not seat.now:
        return
    for name in (OWN, *options("sampler")):
        words = [("sampler", name)] if name != OWN else []
        try:
            node = drawer(changed(seat.settings, words, seat.trust)["model"])["sampler"]
        except ValueError:  # for another family
            continue
        if name == OWN or node != seat.now:
            cls = classes.find(node["_target_"], seat.trust, "sampler")
            values = {k: v for k, v in node.items() if k != "_target_"}
            yield name, knobs_of(cls, values, partial(_accepts, cls, values))


def _accepts(cls: type, values: dict[str, Any], knob: str, value: Any) -> bool:
    """Whether the constructor, which the gate has let in, takes a value."""
    try:
        cls(**{**values, knob: value})
    except Exception:  # whatever it raises
        return False
    return True
