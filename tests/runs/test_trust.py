"""The gate: only listed classes can be named, and a wrong argument is refused before building."""

from __future__ import annotations

import pytest

from genlab.runs.gate.classes import check_arguments, check_names
from genlab.runs.say.errors import UserError
from genlab.runs.settings.plan import Plan

HOSTILE = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.exec",
    "torch.load",
    "torch.hub.load",
    "numpy.load",
    "pickle.loads",
    "importlib.import_module",
    "hydra.utils.instantiate",
    "hydra.utils.get_class",
    "genlab.runs.folder.checkpoint.read",
    "genlab.runs.devices.trainer.os.system",
    "genlab.data.base.os.system",
    "genlab.cli.main",
    "torch.optim.adamw.torch.load",
    "torch.serialization.load",
    "pytorch_lightning.LightningModule.load_from_checkpoint",
    "torch.optim.AdamW.__init__",
    "genlab.models.base.torch.load",
    "genlab.models..base.X",
    "genlab",
    "genlab.",
    ".genlab.models.X",
    "shutil.rmtree",
    "pathlib.Path.unlink",
    "sympy.sympify",
    "jinja2.Template",
    "torch.utils.cpp_extension.load",
    "Genlab.models.gan.GAN",
    "genlab.nn.layers.nn.Module.load_state_dict",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("nest", ["top", "list", "deep", "partial"])
def test_hostile_targets_are_refused(name: str, nest: str) -> None:
    node: dict = {"_target_": name, "_args_": ["touch x"]}
    if nest == "list":
        node = {"a": [1, [node]]}
    elif nest == "deep":
        node = {"_target_": "torch.optim.AdamW", "lr": {"b": {"c": node}}}
    elif nest == "partial":
        node["_partial_"] = True
    with pytest.raises(UserError, match="not on genlab's list"):
        check_names(node)
    with pytest.raises(UserError):
        Plan({"x": node})


def test_trust_is_by_package_and_not_by_prefix() -> None:
    check_names({"_target_": "mine.nets.Net"}, ["mine"])
    for name in ("mine2.nets.Net", "mineral.Net", "mine"):
        with pytest.raises(UserError):
            check_names({"_target_": name}, ["mine"])


def test_a_wrong_argument_is_named_with_the_nearest() -> None:
    node = {"_target_": "genlab.callbacks.ledger.Ledger", "log_evry": 5}
    with pytest.raises(UserError, match=r"callbacks\.ledger\.log_evry.*nearest: log_every"):
        check_arguments(node, where="callbacks.ledger")


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"nearest: Ledger"):
        check_arguments({"_target_": "genlab.callbacks.ledger.Legder"}, where="x")
    with pytest.raises(UserError, match="no module"):
        check_arguments({"_target_": "genlab.callbacks.nothing.Ledger"}, where="x")
