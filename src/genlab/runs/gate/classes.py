"""Which classes a configuration may name: the gate before anything is imported or built.

A `_target_` must be a public class of genlab's own packages, a name on the exact list below, or in
a package that the user trusts on the command line. The name is checked before its module is
imported, and the object found is checked to be defined where its name says: what a module has
merely imported (Path, subprocess.run) cannot be reached through it.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.machinery import PathFinder
from typing import Any

from genlab.runs.gate.files import walk
from genlab.runs.gate.types import fits, hints_of, wanted
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.settings.conf import options_that

OWN = re.compile(
    r"genlab\.(data|nn|objectives|samplers|models|metrics|callbacks|optim|curation|runs\.devices\.trainer)"
    r"(\.[a-z][a-z0-9_]*)*\.[A-Z][A-Za-z0-9_]*"
)
FOLDERS = "GENLAB_PACKAGES"  # in the environment: where --config-dir was, for workers too
OWN_KEYS = ("_target_", "_partial_")  # of Hydra's node fields: the others go round the checks
# the loggers take anything and pass it on: to wandb.init, or as places to write and to send to
ARGUMENTS = {
    f"pytorch_lightning.{name}": frozenset(words)
    for name, *words in (
        # save_dir is the run's folder whatever it says; MLFlow's server is MLFLOW_TRACKING_URI
        ("loggers.WandbLogger", "name", "project", "group", "tags", "entity", "notes", "job_type",
         "mode", "offline", "save_dir", "id", "prefix"),
        ("loggers.TensorBoardLogger", "name", "version", "log_graph", "default_hp_metric", "prefix",
         "save_dir"),
        ("loggers.CSVLogger", "name", "version", "prefix", "flush_logs_every_n_steps", "save_dir"),
        ("loggers.MLFlowLogger", "experiment_name", "run_name", "tags", "prefix", "save_dir"),
        ("strategies.DDPStrategy", "process_group_backend", "timeout", "find_unused_parameters",
         "gradient_as_bucket_view", "static_graph", "start_method"),
    )
}  # fmt: skip
OPTIMIZERS = "Adam AdamW SGD RMSprop NAdam RAdam Adagrad Adamax Adafactor"
CALLBACKS = "EarlyStopping LearningRateMonitor DeviceStatsMonitor"
LISTED = frozenset(
    [f"torch.optim.{name}" for name in OPTIMIZERS.split()]
    + [f"pytorch_lightning.callbacks.{name}" for name in CALLBACKS.split()]
    + [*ARGUMENTS]
)


def targets(node: Any, where: str = "") -> Iterator[tuple[str, dict]]:
    """Every (place, node) that has a `_target_`, at any depth."""
    for place, value in walk(node, where):
        if isinstance(value, dict) and "_target_" in value:
            yield place, value


def check_names(node: Any, trusted: Sequence[str] = (), where: str = "") -> None:
    """Refuse every `_target_` that is not allowed; nothing is imported."""
    for place, found in targets(node, where):
        name = found["_target_"]
        if not isinstance(name, str) or not _allowed(name, trusted):
            package = str(name).partition(".")[0]
            so_far = f" (trusted are {', '.join(trusted)})" if trusted else ""
            raise UserError(
                f"{place}._target_={name!r} is not on genlab's list of classes; if you trust its"
                f" package, say so on the command line: 'trust=[{package}]'{so_far}"
            )
        for key in found:
            if str(key).startswith("_") and str(key).endswith("_") and key not in OWN_KEYS:
                raise UserError(f"{place}.{key}: write the arguments by name, with no {key}")


def _allowed(name: str, trusted: Sequence[str]) -> bool:
    return (
        OWN.fullmatch(name) is not None
        or name in LISTED
        or any(name.startswith(f"{package}.") for package in trusted)
    )


class TrustedFinder:
    """Finds packages trusted on the command line, and no others, in folders off Python's path.

    Last in `sys.meta_path`: what Python finds by itself, its standard library first, is never
    replaced. The folders are the working folder, that of --config-dir, and the one around it.
    """

    names: set[str] = set()

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
        if path is not None or name not in cls.names:
            return None
        folders = [f for f in os.environ.get(FOLDERS, "").split(os.pathsep) if f]
        return PathFinder.find_spec(name, [os.getcwd(), *folders])


def folder_of(trust: str) -> str:
    """The folder off Python's path that a trusted package lies in; empty where it is on it."""
    name = trust.partition(".")[0]
    spec = None if PathFinder.find_spec(name) else TrustedFinder.find_spec(name)
    return os.path.dirname(os.path.dirname(spec.origin or "")) if spec and spec.origin else ""


def find(name: str, trusted: Sequence[str], place: str) -> Any:
    """The class a checked name stands for."""
    module_name, _, attribute = name.rpartition(".")
    TrustedFinder.names |= {trust.partition(".")[0] for trust in trusted}
    if trusted and TrustedFinder not in sys.meta_path:
        sys.meta_path.append(TrustedFinder)
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if error.name and not (module_name + ".").startswith(error.name + "."):
            raise UserError(
                f"{place} needs the package {error.name}: install it, or, if it is your own and"
                f" lies beside yours, 'trust=[{','.join([*trusted, error.name])}]'"
            ) from error
        where = "" if name.startswith("genlab.") else "; looked in the working folder and beside"
        where += " --config-dir's, then as installed" if where else ""
        raise UserError(
            f"{place}._target_={name}: there is no module {module_name}{where}"
        ) from error
    except AttributeError:
        names = [n for n in dir(importlib.import_module(module_name)) if n[:1].isupper()]
        raise UserError(
            f"{place}._target_={name}: {module_name} has no {attribute}{nearest(attribute, names)}"
        ) from None
    home, own_name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    if name in LISTED:
        right = inspect.isclass(found) and str(home).startswith(module_name.split(".")[0] + ".")
    elif OWN.fullmatch(name):
        right = inspect.isclass(found) and home == module_name and own_name == attribute
    else:  # a re-export within the trusted package is its own affair
        inside = [p for p in trusted if name.startswith(f"{p}.")]
        right = callable(found) and any(f"{home}.".startswith(f"{p}.") for p in inside)
    if not right:
        raise UserError(f"{place}._target_={name} is not a class of {module_name}")
    return found


def check_arguments(node: Any, trusted: Sequence[str] = (), where: str = "") -> None:
    """Refuse an argument that its constructor does not take; imports, builds nothing."""
    check_names(node, trusted, where)  # before anything is imported, whoever calls
    for place, found in targets(node, where):
        cls = find(found["_target_"], trusted, place)
        given = {k for k in found if k not in OWN_KEYS}
        if (allowed := ARGUMENTS.get(found["_target_"])) is not None:
            for key in sorted(given - allowed, key=str):
                raise UserError(
                    f"{place}.{key}: genlab lets a config set no {key!r} of"
                    f" {cls.__name__}{nearest(key, allowed)}"
                )
        parameters = inspect.signature(cls).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            continue
        for key in sorted(given - set(parameters), key=str):
            raise UserError(
                f"{place}.{key}: {cls.__name__} takes no {key!r}{nearest(str(key), parameters)}"
            )
        needed = {k for k, p in parameters.items() if p.default is p.empty}
        missing = sorted(needed - given)
        if missing and not found.get("_partial_"):
            raise UserError(f"{place}: {cls.__name__} needs {', '.join(missing)}")
        if OWN.fullmatch(found["_target_"]):
            _check_types(cls, found, place)


def _names_one_of(hint: Any, look: Any, node: dict[str, Any]) -> bool:
    return "_target_" in node and fits(node, hint, look)


def _check_types(cls: type, node: dict, place: str) -> None:
    """Refuse a value that its argument cannot take (genlab's own classes say what they take)."""

    def own(name: str, key: str) -> type | None:
        return find(name, (), f"{place}.{key}") if OWN.fullmatch(name) else None

    hints = hints_of(cls)
    for key, value in node.items():
        look, hint = partial(own, key=key), hints.get(key, Any)
        if key in OWN_KEYS or fits(value, hint, look):
            continue
        if isinstance(value, dict) and "_target_" in value:
            named = value["_target_"].rpartition(".")[2]
            options = options_that(key, partial(_names_one_of, hint, look))
            remedy = f"; {key}={', '.join(options)}" if options else ""
            raise UserError(f"{place}.{key}: {cls.__name__} cannot take {named} there{remedy}")
        shown = "a group without a class" if isinstance(value, dict) else value
        ways = ("TEXT", '"TEXT"'), (["TEXT"], '["TEXT"]')  # of a column called 1, or [a]
        quoted = [way for like, way in ways if fits(like, hint, look)]
        remedy = f"; a text is quoted: '{place}.{key}={quoted[0]}'" if quoted else ""
        raise UserError(f"{place}.{key}={shown}: it must be {wanted(hint)}{remedy}")
