"""The gate: only listed classes can be named, and a wrong argument is refused before building."""

from __future__ import annotations

import pytest

from genlab.runs.gate.classes import check_arguments, check_names, find
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


@pytest.mark.parametrize("name", ["genlab.models.vae.Tensor", "genlab.callbacks.checkpoint.Path"])
def test_what_a_module_has_merely_imported_is_out_of_reach(name: str) -> None:
    with pytest.raises(UserError, match="is not a class of genlab"):
        check_arguments({"_target_": name}, where="x")


def test_of_a_trusted_package_only_its_own(tmp_path, monkeypatch) -> None:
    (tmp_path / "a_trusted_one.py").write_text("from pathlib import Path\nclass Net:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find("a_trusted_one.Net", ["a_trusted_one"], "x").__name__ == "Net"
    with pytest.raises(UserError, match="is not a class of a_trusted_one"):
        find("a_trusted_one.Path", ["a_trusted_one"], "x")


@pytest.mark.parametrize("field", ["_args_", "_recursive_", "_convert_", "_anything_"])
def test_node_fields_that_go_round_the_checks_are_refused(field: str) -> None:
    with pytest.raises(UserError, match=f"write the arguments by name, with no {field}"):
        check_names({"_target_": "torch.optim.Adam", field: False})
    check_names({"_target_": "torch.optim.Adam", "_partial_": True})


def test_what_is_missing_is_named_but_where_it_is_filled_in_later() -> None:
    node = {"_target_": "genlab.callbacks.checkpoint.Checkpoint"}
    with pytest.raises(UserError, match="Checkpoint needs save_every"):
        check_arguments(node, where="x")
    check_arguments({**node, "_partial_": True}, where="x")


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"nearest: Ledger"):
        check_arguments({"_target_": "genlab.callbacks.ledger.Legder"}, where="x")
    with pytest.raises(UserError, match="no module"):
        check_arguments({"_target_": "genlab.callbacks.nothing.Ledger"}, where="x")
