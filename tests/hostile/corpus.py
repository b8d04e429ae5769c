"""Hostile configs, made by code: each would touch a marker file if any part of it took effect.

`CONFIGS` holds them by kind: `node` (a `_target_` somewhere in the settings), `folder` (files of a
--config-dir), `settled` (settings as a checkpoint or run folder holds them), `name`, `yaml`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Config:
    """`make(folder, marker)` gives the payload; `says` is what the refusal must name."""

    name: str
    kind: str
    make: Callable[[Path, str], Any]
    says: str = ""


class Touch:
    """A pickle that makes a folder when it is read."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        import os

        return os.mkdir, (self.marker,)


def t(target: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"_target_": target, **({"_args_": list(args)} if args else {}), **kwargs}


def _pickled(folder: Path, marker: str) -> str:
    path = folder / "evil.pkl"
    path.write_bytes(pickle.dumps(Touch(marker)))
    return str(path)


def _module(folder: Path, marker: str, name: str = "hubconf") -> str:
    (folder / f"{name}.py").write_text(
        f"import os\nos.mkdir({marker!r})\ndef f(*a, **k): return 1\n"
    )
    return str(folder)


def _npy(folder: Path, marker: str) -> str:
    import numpy as np

    np.save(folder / "evil.npy", np.array([Touch(marker)], dtype=object), allow_pickle=True)
    return str(folder / "evil.npy")


def _logging_ini(folder: Path, marker: str) -> str:
    path = folder / "log.ini"
    path.write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=\n[logger_root]\nhandlers=h\n"
        f"[handler_h]\nclass=FileHandler\nargs=({marker!r},)\n"
    )
    return str(path)


Maker = Callable[[Path, str], dict[str, Any]]
CODE = "__import__('os').mkdir({!r})"
TARGETS: dict[str, Maker] = {
    "os.system": lambda f, m: t("os.system", f"touch {m}"),
    "posix.system": lambda f, m: t("posix.system", f"touch {m}"),
    "os.mkdir": lambda f, m: t("os.mkdir", m),
    "os.makedirs": lambda f, m: t("os.makedirs", m),
    "os.mknod": lambda f, m: t("os.mknod", m),
    "os.mkfifo": lambda f, m: t("os.mkfifo", m),
    "os.open": lambda f, m: t("os.open", m, 65),
    "os.symlink": lambda f, m: t("os.symlink", "/", m),
    "os.popen": lambda f, m: t("os.popen", f"touch {m}"),
    "os.execvp": lambda f, m: t("os.execvp", "touch", ["touch", m]),
    "os.spawnlp": lambda f, m: t("os.spawnlp", 0, "touch", "touch", m),
    "os.posix_spawn": lambda f, m: t("os.posix_spawn", "/usr/bin/touch", ["touch", m], {}),
    "builtins.open": lambda f, m: t("builtins.open", m, "w"),
    "io.open": lambda f, m: t("io.open", m, "w"),
    "io.FileIO": lambda f, m: t("io.FileIO", m, "w"),
    "codecs.open": lambda f, m: t("codecs.open", m, "w"),
    "gzip.open": lambda f, m: t("gzip.open", m, "w"),
    "bz2.open": lambda f, m: t("bz2.open", m, "w"),
    "lzma.open": lambda f, m: t("lzma.open", m, "w"),
    "tarfile.open": lambda f, m: t("tarfile.open", m, "w"),
    "zipfile.ZipFile": lambda f, m: t("zipfile.ZipFile", m, "w"),
    "sqlite3.connect": lambda f, m: t("sqlite3.connect", m),
    "shelve.open": lambda f, m: t("shelve.open", m),
    "dbm.dumb.open": lambda f, m: t("dbm.dumb.open", m, "n"),
    "builtins.eval": lambda f, m: t("builtins.eval", CODE.format(m)),
    "builtins.exec": lambda f, m: t("builtins.exec", CODE.format(m)),
    "builtins.getattr": lambda f, m: t("builtins.getattr", t("pathlib.Path", m), "touch"),
    "timeit.timeit": lambda f, m: t("timeit.timeit", CODE.format(m), number=1),
    "cProfile.run": lambda f, m: t("cProfile.run", CODE.format(m)),
    "profile.run": lambda f, m: t("profile.run", CODE.format(m)),
    "trace.Trace": lambda f, m: t("trace.Trace.run", t("trace.Trace"), CODE.format(m)),
    "code.InteractiveInterpreter": lambda f, m: t(
        "code.InteractiveInterpreter.runsource", t("code.InteractiveInterpreter"), CODE.format(m)
    ),
    "runpy.run_path": lambda f, m: t("runpy.run_path", _module(f, m) + "/hubconf.py"),
    "importlib": lambda f, m: t(
        "importlib.machinery.SourceFileLoader.load_module",
        t("importlib.machinery.SourceFileLoader", "x", _module(f, m) + "/hubconf.py"),
    ),
    "subprocess.run": lambda f, m: t("subprocess.run", ["touch", m]),
    "subprocess.call": lambda f, m: t("subprocess.call", ["touch", m]),
    "subprocess.Popen": lambda f, m: t("subprocess.Popen", ["touch", m]),
    "subprocess.check_output": lambda f, m: t("subprocess.check_output", ["touch", m]),
    "subprocess.getoutput": lambda f, m: t("subprocess.getoutput", f"touch {m}"),
    "pty.spawn": lambda f, m: t("pty.spawn", ["touch", m]),
    "pathlib.touch": lambda f, m: t("pathlib.Path.touch", t("pathlib.Path", m)),
    "pathlib.mkdir": lambda f, m: t("pathlib.Path.mkdir", t("pathlib.Path", m)),
    "pathlib.write_text": lambda f, m: t("pathlib.Path.write_text", t("pathlib.Path", m), "x"),
    "shutil.copy": lambda f, m: t("shutil.copy", "/etc/passwd", m),
    "shutil.copytree": lambda f, m: t("shutil.copytree", str(f), m),
    "shutil.make_archive": lambda f, m: t("shutil.make_archive", m, "tar", str(f)),
    "pickle.loads": lambda f, m: t("pickle.loads", pickle.dumps(Touch(m), 0).decode("latin1")),
    "numpy.save": lambda f, m: t("numpy.save", m, [1]),
    "numpy.savetxt": lambda f, m: t("numpy.savetxt", m, [1]),
    "numpy.load": lambda f, m: t("numpy.load", _npy(f, m), allow_pickle=True),
    "numpy.memmap": lambda f, m: t("numpy.memmap", m, mode="w+", shape=3),
    "torch.save": lambda f, m: t("torch.save", [1], m),
    "torch.load": lambda f, m: t("torch.load", _pickled(f, m), weights_only=False),
    "torch.serialization.load": lambda f, m: t(
        "torch.serialization.load", _pickled(f, m), weights_only=False
    ),
    "torch.hub.load": lambda f, m: t("torch.hub.load", _module(f, m), "f", source="local"),
    "torch.from_file": lambda f, m: t("torch.from_file", m, shared=True, size=8),
    "torch.FileStore": lambda f, m: t("torch.distributed.FileStore", m, 1),
    "joblib.load": lambda f, m: t("joblib.load", _pickled(f, m)),
    "joblib.dump": lambda f, m: t("joblib.dump", [1], m),
    "yaml.unsafe_load": lambda f, m: t(
        "yaml.unsafe_load", f"!!python/object/apply:os.mkdir [{m!r}]"
    ),
    "logging.FileHandler": lambda f, m: t("logging.FileHandler", m),
    "logging.fileConfig": lambda f, m: t("logging.config.fileConfig", _logging_ini(f, m)),
    "logging.dictConfig": lambda f, m: t(
        "logging.config.dictConfig",
        {
            "version": 1,
            "handlers": {"h": {"()": "os.mkdir", "path": m}},
            "root": {"handlers": ["h"]},
        },
    ),
    "hydra.call": lambda f, m: t("hydra.utils.call", t("os.mkdir", m)),
    "hydra.instantiate": lambda f, m: t("hydra.utils.instantiate", t("os.mkdir", m)),
    "hydra.get_method": lambda f, m: t("hydra.utils.get_method", "os.mkdir"),
    "omegaconf.save": lambda f, m: t("omegaconf.OmegaConf.save", {"a": 1}, m),
    "threading.Timer": lambda f, m: t(
        "threading.Timer", 0, t("hydra.utils.get_method", "os.mkdir"), [m]
    ),
    "functools.partial": lambda f, m: t("functools.partial", t("os.mkdir", m)),
    "operator.methodcaller": lambda f, m: t("operator.methodcaller", "touch"),
    "tempfile.mkdtemp": lambda f, m: t("tempfile.mkdtemp", "", m.rpartition("/")[2], str(f)),
    "matplotlib.savefig": lambda f, m: t("matplotlib.image.imsave", m, [[1]], format="png"),
    "sympify": lambda f, m: t("sympy.sympify", CODE.format(m)),
    "cpp_extension": lambda f, m: t("torch.utils.cpp_extension.load", "x", [m]),
    "load_from_checkpoint": lambda f, m: t(
        "pytorch_lightning.LightningModule.load_from_checkpoint", _pickled(f, m), weights_only=False
    ),
    "ModelCheckpoint": lambda f, m: t("pytorch_lightning.callbacks.ModelCheckpoint", m),
    "pl.Trainer": lambda f, m: t("pytorch_lightning.Trainer", default_root_dir=m),
    # by genlab itself: its functions, what its modules have imported, other ways to write a name
    "genlab.write_text": lambda f, m: t(
        "genlab.runs.folder.layout.write_text", t("pathlib.Path", m), "x"
    ),
    "genlab.save": lambda f, m: t("genlab.runs.folder.checkpoint.save", {}, t("pathlib.Path", m)),
    "genlab.load": lambda f, m: t("genlab.load", _pickled(f, m)),
    "genlab.build": lambda f, m: t("genlab.runs.settings.plan.Plan", t("os.mkdir", m)),
    "genlab.cli.main": lambda f, m: t("genlab.cli.main", ["export", f"to={m}"]),
    "genlab.unpack": lambda f, m: t("genlab.data.archives.unpack", m, m),
    "through cli": lambda f, m: t("genlab.cli.os.mkdir", m),
    "through files": lambda f, m: t("genlab.data.files.os.mkdir", m),
    "through folder": lambda f, m: t("genlab.data.sources.listing.Path", m),
    "through folder.touch": lambda f, m: t(
        "genlab.data.sources.listing.Path.touch", t("pathlib.Path", m)
    ),
    "through base": lambda f, m: t("genlab.models.base.LightningModule"),
    "through tokens": lambda f, m: t("genlab.models.autoregressive.Path", m),
    "through trainer": lambda f, m: t("genlab.runs.devices.trainer.pl.Trainer", default_root_dir=m),
    "through trainer.Any": lambda f, m: t("genlab.runs.devices.trainer.Checkpoint"),
    "another's class": lambda f, m: t("genlab.models.diffusion.GenerativeModel"),
    "method of a class": lambda f, m: t("genlab.callbacks.ledger.Ledger.__init__", m),
    "class attribute": lambda f, m: t("genlab.callbacks.ledger.Ledger.__class__", m),
    "builtins of a module": lambda f, m: t("genlab.data.base.__builtins__.open", m, "w"),
    "dunder import": lambda f, m: t("genlab.data.base.__loader__.load_module", m),
    "space before": lambda f, m: t(" os.mkdir", m),
    "space after": lambda f, m: t("torch.optim.Adam ", m),
    "line break": lambda f, m: t("torch.optim.Adam\n", m),
    "NUL": lambda f, m: t("torch.optim.Adam\0.x", m),
    "full-width": lambda f, m: t("ｏｓ.mkdir", m),  # NFKC: os
    "cyrillic": lambda f, m: t("tоrch.optim.Adam", m),
    "greek class": lambda f, m: t("genlab.callbacks.ledger.Lеdger", m),
    "upper case": lambda f, m: t("OS.mkdir", m),
    "two dots": lambda f, m: t("genlab..data.base.Stream", m),
    "leading dot": lambda f, m: t(".os.mkdir", m),
    "colon": lambda f, m: t("os:mkdir", m),
    "slash": lambda f, m: t("genlab/data/base.Stream", m),
    "prefix of a package": lambda f, m: t("genlabx.data.base.Stream", m),
    "prefix torch": lambda f, m: t("torch.optim.AdamX", m),
    "empty": lambda f, m: t("", m),
    "number": lambda f, m: t(5, m),
    "none": lambda f, m: t(None, m),
    "list": lambda f, m: t(["os", "mkdir"], m),
    "mapping": lambda f, m: t({"_target_": "os.mkdir", "path": m}),
    "true": lambda f, m: t(True, m),
}  # fmt: skip


def _at(place: str, node: Any) -> dict[str, Any]:
    """Changes to whole settings: where the node goes."""
    return {"place": place, "node": node}


# where a node can stand in the settings; one after another over the targets
PLACES = (
    "model", "model.net", "model.objective", "model.sampler", "model.optim.optimizer", "data",
    "callbacks.guard", "callbacks.extra", "logger.extra", "metric", "trainer", "trainer.strategy",
    "budget.extra", "model.net.list", "callbacks.look.num", "extra", "extra.deep",
)  # fmt: skip


def _touch(m: str) -> dict[str, Any]:
    return t("pathlib.Path.touch", t("pathlib.Path", m))


def _create(m: str) -> str:
    """A text that becomes a node when OmegaConf resolves it."""
    return (
        '${oc.create:"{_target_: pathlib.Path.touch, _args_:'
        f' [{{_target_: pathlib.Path, _args_: [{m}]}}]}}"}}'
    )


def _nodes() -> list[Config]:
    made = []
    for i, (name, maker) in enumerate(TARGETS.items()):
        place = PLACES[i % len(PLACES)]
        made.append(
            Config(
                f"target {name} at {place}",
                "node",
                lambda f, m, maker=maker, place=place: _at(place, maker(f, m)),
                place.removesuffix(".list"),
            )
        )
    for place in PLACES:
        made.append(
            Config(f"touch at {place}", "node", lambda f, m, p=place: _at(p, _touch(m)), place[:5])
        )
    optimizer = "torch.optim.Adam"
    forms: dict[str, Callable[[str], Any]] = {
        "partial": lambda m: {**_touch(m), "_partial_": True},
        "recursive off": lambda m: {**_touch(m), "_recursive_": False},
        "in a list": lambda m: [1, [_touch(m)]],
        "in a tuple": lambda m: ((_touch(m),),),
        "in an allowed class": lambda m: t(optimizer, lr=_touch(m)),
        "in args of an allowed class": lambda m: t(optimizer, _touch(m)),
        "args": lambda m: t("pytorch_lightning.loggers.CSVLogger", m),
        "convert": lambda m: t(optimizer, _convert_="object"),
        "create": lambda m: t(optimizer, lr=_create(m)),
        "create in a list": lambda m: t(optimizer, betas=[_create(m)]),
        "create as a key": lambda m: t(optimizer, **{_create(m): 1}),
        "interpolated node": lambda m: t(optimizer, lr="${.x}", x=_touch(m)),
        "interpolated target": lambda m: {"_target_": "${oc.decode:pathlib.Path}", "_args_": [m]},
        "the environment": lambda m: t(optimizer, lr="${oc.env:HOME}"),
        "escaped": lambda m: t(optimizer, lr="\\" + _create(m)),
        "wandb settings": lambda m: t(
            "pytorch_lightning.loggers.WandbLogger", settings={"x_files_dir": m}
        ),
        "wandb dir": lambda m: t("pytorch_lightning.loggers.WandbLogger", dir=m),
        "wandb config": lambda m: t("pytorch_lightning.loggers.WandbLogger", config=m),
        "wandb experiment": lambda m: t(
            "pytorch_lightning.loggers.WandbLogger", experiment={"a": m}
        ),
        "mlflow server": lambda m: t(
            "pytorch_lightning.loggers.MLFlowLogger", tracking_uri="http://127.0.0.1:9"
        ),
        "mlflow place": lambda m: t(
            "pytorch_lightning.loggers.MLFlowLogger", artifact_location=f"file:{m}"
        ),
        "tensorboard writer": lambda m: t(
            "pytorch_lightning.loggers.TensorBoardLogger", name="x", sub_dir=m
        ),
        "tensorboard log_dir": lambda m: t(
            "pytorch_lightning.loggers.TensorBoardLogger", name="x", log_dir=m
        ),
        "ddp plugin": lambda m: t(
            "pytorch_lightning.strategies.DDPStrategy", checkpoint_io=_touch(m)
        ),
        "ddp any argument": lambda m: t("pytorch_lightning.strategies.DDPStrategy", bucket=m),
        "ddp hook": lambda m: t(
            "pytorch_lightning.strategies.DDPStrategy", ddp_comm_hook="os.mkdir"
        ),
        "fsdp policy": lambda m: t(
            "pytorch_lightning.strategies.FSDPStrategy", auto_wrap_policy="os.mkdir"
        ),
    }
    for name, form in forms.items():
        made.append(
            Config(
                f"form: {name}", "node", lambda f, m, form=form: _at("extra.x", form(m)), "extra"
            )
        )
    return made


EXPERIMENT = "# @package _global_\n# a stranger's\n"


def _files(**texts: str) -> dict[str, str]:
    return {name.replace("__", "/") + ".yaml": text for name, text in texts.items()}


def _evil(body: str, **more: str) -> Callable[[Path, str], dict[str, str]]:
    """An experiment of a stranger; MARK stands for the marker, SIDE for a folder beside it."""

    def make(folder: Path, marker: str) -> dict[str, str]:
        texts = _files(experiment__evil=EXPERIMENT + body, **more)
        side = str(folder / "side")
        return {k: v.replace("MARK", marker).replace("SIDE", side) for k, v in texts.items()}

    return make


TOUCH = "{_target_: pathlib.Path.touch, _args_: [{_target_: pathlib.Path, _args_: [MARK]}]}"
HANDLER = (
    "{version: 1, handlers: {h: {class: logging.FileHandler, filename: MARK}},"
    " root: {handlers: [h], level: DEBUG}, disable_existing_loggers: false}"
)


def _bomb(levels: int, times: int, form: str = "{}") -> str:
    """Texts of texts: `times` ** `levels` of the last, when they unfold."""
    lines = [f"b{i}: '{f'${{b{i + 1}}}' * times}'" for i in range(levels)]
    return "\n".join([*lines, f"b{levels}: x", form.format("name: '${b0}'"), ""])


NODES = "c0: {x: 1}\n" + "".join(
    f"c{i}: {{{', '.join(f'k{j}: {chr(39)}${{c{i - 1}}}{chr(39)}' for j in range(10))}}}\n"
    for i in range(1, 9)
)
FOLDERS: dict[str, tuple[Callable[[Path, str], dict[str, str]], str]] = {
    "hydra callback": (_evil(f"hydra: {{callbacks: {{x: {TOUCH}}}}}\n"), "hydra"),
    "hydra launcher": (_evil(f"hydra: {{launcher: {TOUCH}}}\n"), "hydra"),
    "hydra sweeper": (_evil(f"hydra: {{sweeper: {TOUCH}}}\n"), "hydra"),
    "hydra job logging": (_evil(f"hydra: {{job_logging: {HANDLER}}}\n"), "hydra"),
    "hydra logging": (_evil(f"hydra: {{hydra_logging: {HANDLER}}}\n"), "hydra"),
    "logging factory": (
        _evil("hydra: {job_logging: {version: 1, handlers: {h: {(): os.mkdir, path: MARK}},"
              " root: {handlers: [h]}}}\n"), "hydra"),
    "logging ext": (
        _evil("hydra: {job_logging: {version: 1, handlers: {h: {(): 'ext://os.mkdir', path: MARK}},"
              " root: {handlers: [h]}}}\n"), "hydra"),
    "hydra run dir": (_evil("hydra: {run: {dir: MARK}}\n"), "hydra"),
    "hydra sweep dir": (_evil("hydra: {sweep: {dir: MARK}}\n"), "hydra"),
    "hydra output subdir": (_evil("hydra: {output_subdir: ../../MARK}\n"), "hydra"),
    "hydra env": (_evil("hydra: {job: {env_set: {PYTHONPATH: MARK}}}\n"), "hydra"),
    "hydra env copy": (_evil("hydra: {job: {env_copy: [HOME]}}\n"), "hydra"),
    "hydra chdir": (_evil("hydra: {job: {chdir: true}}\n"), "hydra"),
    "hydra searchpath": (_evil("hydra: {searchpath: ['file://SIDE']}\n"), "hydra"),
    "hydra searchpath package": (_evil("hydra: {searchpath: ['pkg://antigravity']}\n"), "hydra"),
    "hydra mode": (_evil("hydra: {mode: MULTIRUN}\n"), "hydra"),
    "hydra overrides": (
        _evil("hydra: {overrides: {task: ['trust=[os]']}}\nseed: 1\n"), "hydra"),
    "hydra choices": (_evil("hydra: {runtime: {output_dir: MARK}}\n"), "hydra"),
    "hydra by an alias": (_evil(f"a: &a {{callbacks: {{x: {TOUCH}}}}}\nhydra: *a\n"), "hydra"),
    "hydra by a merge": (_evil(f"<<: {{hydra: {{callbacks: {{x: {TOUCH}}}}}}}\n"), "hydra"),
    "hydra by an escape": (_evil(f'"h\\x79dra": {{callbacks: {{x: {TOUCH}}}}}\n'), "hydra"),
    "hydra quoted": (_evil(f"'hydra': {{callbacks: {{x: {TOUCH}}}}}\n"), "hydra"),
    "hydra tagged": (_evil(f"!!str hydra: {{callbacks: {{x: {TOUCH}}}}}\n"), "hydra"),
    "package hydra": (
        lambda f, m: {"experiment/evil.yaml": "# @package hydra.callbacks\nx: "
                      + TOUCH.replace("MARK", m) + "\n"}, "hydra"),
    "package hydra with blanks": (
        lambda f, m: {"experiment/evil.yaml": "#\n#   @package   hydra.callbacks\nx: "
                      + TOUCH.replace("MARK", m) + "\n"}, "hydra"),
    "defaults into hydra": (
        _evil("defaults: [/extra@hydra.callbacks: x]\n", extra__x=f"x: {TOUCH}\n"), "hydra"),
    "defaults into hydra by _here_": (
        _evil("defaults: ['/extra/x@_global_.hydra.callbacks']\n", extra__x=f"x: {TOUCH}\n"),
        "hydra"),
    "defaults override hydra": (
        _evil("defaults: [override /hydra/launcher: joblib]\n"), "hydra"),
    "defaults override logging": (
        _evil("defaults: [override hydra/job_logging: x]\n"), "hydra"),
    "defaults of a number": (_evil("defaults: [3]\n"), "Unsupported type in defaults"),
    "defaults of no group": (_evil("defaults: [{}]\n"), "Missing group name"),
    "a header that is no package": (
        lambda f, m: {"experiment/evil.yaml": "# @x y z\n# x\nseed: 1\n"}, "Too many components"),
    "defaults of an empty group": (_evil("defaults:\n- ? ''\n  : null\n"), "defaults may not name"),
    "defaults of a NUL": (
        _evil('defaults:\n- override /model: "\\0"\n'), "defaults may not name"),
    "a text that is no mapping": (lambda f, m: {"experiment/evil.yaml": "200\x85"}, "evil.yaml"),
    "package hydra by brackets": (
        lambda f, m: {"experiment/evil.yaml": "# @package hydra[callbacks]\nx: "
                      + TOUCH.replace("MARK", m) + "\n"}, "hydra"),
    "package of a run's folder by brackets": (
        lambda f, m: {"experiment/evil.yaml": f"# @package hydra[run]\ndir: {m}\n"}, "hydra"),
    "defaults into hydra by brackets": (
        _evil("defaults:\n  - /extra@hydra[callbacks]: x\n", extra__x=f"x: {TOUCH}\n"), "hydra"),
    "defaults into hydra by quotes": (
        _evil("defaults:\n  - '/extra@\"hydra\".callbacks': x\n", extra__x=f"x: {TOUCH}\n"),
        "hydra"),
    "package trust": (
        lambda f, m: {"experiment/evil.yaml": "# @package trust\nx: os\n"}, "command line only"),
    "package of a cache": (
        lambda f, m: {"experiment/evil.yaml": f"# @package metric[cache]\nx: {m}\n"},
        "command line only"),
    "defaults into a cache": (
        _evil("defaults:\n  - /extra@metric.cache: x\n", extra__x="x: MARK\n"),
        "command line only"),
    "a text that is said without end": (
        _evil("model: {_target_: '" + "passwd" * 450 + ":'}\n"), "not on genlab's list"),
    "a long text, often": (
        _evil("big: " + "x" * 400_000 + "\nt: '" + "${big}" * 20_000 + "'\n"), "unfolds into more"),
    "interpolation bomb of quoted keys": (
        _evil(_bomb(8, 10).replace("${b", '${oc.select:"b').replace("}", '"}')), "only ${key}"),
    "a name of dots": (_evil("name: '${" + "." * 40_000 + "}'\n"), "name"),
    "a name of dots, escaped": (_evil("name: '\\${" + "." * 40_000 + "'\n"), "name"),
    "many tags": (
        lambda f, m: {"experiment/evil.yaml": "".join(f"%TAG !a{i}! x\n" for i in range(60_000))
                      + "---\nseed: 1\n"}, "begins with %"),
    "folder hydra": (
        _evil("name: x\n", hydra__callbacks__x=f"x: {TOUCH}\n"), "hydra"),
    "defaults climb": (_evil("defaults: [../../side/x]\n"), "defaults"),
    "defaults absolute": (_evil("defaults: ['//etc/x']\n"), "defaults"),
    "defaults interpolated": (_evil("defaults: [data: '${evil}']\n"), "defaults"),
    "defaults climb in a group": (_evil("defaults: [override /data: ../../side/x]\n"), "defaults"),
    "trust": (_evil(f"trust: [pathlib]\nmodel: {TOUCH}\n"), "trust"),
    "trust in another package": (
        lambda f, m: {"experiment/evil.yaml": "# @package _global_\n# x\ntrust: [os, pathlib]\n"},
        "trust"),
    "resume": (_evil("resume: last\n"), "resume"),
    "cache": (_evil("metric: {cache: MARK}\n"), "cache"),
    "save_dir": (_evil("logger: {wandb: {save_dir: MARK}}\n"), "save_dir"),
    "wandb online": (_evil("logger: {wandb: {mode: online}}\n"), "mode"),
    "env": (_evil("name: '${oc.env:HOME}'\n"), "oc.env"),
    "env with default": (_evil("name: '${oc.env:HOME,x}'\n"), "oc.env"),
    "env with blanks": (_evil("name: '${ oc.env : HOME }'\n"), "name"),
    "env within a text": (_evil("model: {note: 'a ${oc.env:HOME} b'}\n"), "oc.env"),
    "env by parts": (_evil("a: env\nname: '${oc.${a}:HOME}'\n"), "name"),
    "env nested": (_evil("name: '${oc.decode:${oc.env:HOME}}'\n"), "name"),
    "env in a key": (_evil("model: {'${oc.env:HOME}': 1}\n"), "oc.env"),
    "create": (_evil("model: {net: '${oc.create:\"{_target_: os.mkdir}\"}'}\n"), "oc.create"),
    "decode": (_evil("model: {net: '${oc.decode:\"{_target_: os.mkdir}\"}'}\n"), "oc.decode"),
    "escaped": (_evil("model: {net: {width: '\\${oc.env:HOME}'}}\n"), "width"),
    "id resolver": (_evil("name: '${genlab.id:x}'\n"), "name"),
    "interpolation bomb": (_evil(_bomb(8, 10)), "unfolds into more"),
    "interpolation bomb in a name": (_evil(_bomb(8, 10, "sampler: {{{}}}")), "unfolds into more"),
    "interpolation bomb of nodes": (_evil(NODES + "model: {net: '${c8}'}\n"), "unfolds into more"),
    "interpolation bomb, relative": (
        _evil(_bomb(8, 10).replace("${b", "${.b")), "unfolds into more"),
    "interpolation bomb by brackets": (
        _evil("a: {b: ['" + "${a.b[1]}" * 2000 + "', '" + "${a.b[2]}" * 2000 + "', x]}\n"
              "name: '${a.b[0]}'\n"), "unfolds into more"),
    "interpolation bomb of two files": (
        _evil("defaults: [/extra: x]\nname: '${extra.b0}'\n",
              extra__x=_bomb(8, 10).replace("${b", "${extra.b").replace("name: ", "y: ")),
        "unfolds into more"),
    "interpolation bomb by a resolver": (
        _evil(_bomb(8, 10).replace("${b", "${oc.select:b")), "unfolds into more"),
    "a chain of interpolations": (
        _evil("\n".join(f"d{i}: '${{d{i + 1}}}'" for i in range(3000)) + "\nd3000: x\n"),
        "without end"),
    "python tag": (_evil("name: !!python/object/apply:os.mkdir [MARK]\n"), "python"),
    "python name": (_evil("name: !!python/name:os.mkdir\n"), "python"),
    "path tag": (_evil("name: !!python/object/apply:pathlib.PosixPath [x]\n"), "python"),
    "own tag": (_evil("name: !evil x\n"), "!evil"),
    "two documents": (_evil("name: x\n---\nname: y\n"), "YAML"),
    "in a file nobody asked for": (
        lambda f, m: {"experiment/evil.yaml": EXPERIMENT + "seed: 1\n",
                      "other/b.yml": "hydra: {run: {dir: /x}}\n"}, "hydra"),
    "target in an experiment": (_evil(f"model: {TOUCH}\n"), "model"),
    "target in callbacks": (_evil(f"callbacks: {{x: {TOUCH}}}\n"), "callbacks.x"),
    "target by interpolation": (_evil(f"e: {TOUCH}\nmodel: {{net: '${{e}}'}}\n"), "net"),
    "target by a key": (_evil("e: pathlib.Path\nmodel: {net: {_target_: '${e}'}}\n"), "net"),
    "target in a group": (
        _evil("defaults: [override /net: mine]\n", net__mine="_target_: os.mkdir\nname: MARK\n"),
        "net"),
    "name climbs": (_evil("name: ../../side\n"), "name"),
    "name absolute": (_evil("name: MARK\n"), "name"),
}  # fmt: skip


def _bomb(levels: int = 9, width: int = 9) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for i in range(1, levels):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]")
    return "\n".join(lines) + "\n"


YAMLS: dict[str, str] = {
    "alias bomb": _bomb(),
    "alias bomb of two": _bomb(40, 2),
    "mapping bomb": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{p: *a{i - 1}, q: *a{i - 1}}}\n" for i in range(1, 30)),
    "merge bomb": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 30)),
    "text bomb": "a: &a '" + "x" * 500_000 + "'\nb: [" + ", ".join(["*a"] * 1000) + "]\n",
    "of itself": "a: &a [*a]\n",
    "deep lists": "a: " + "[" * 5000 + "]" * 5000 + "\n",
    "deep mappings": "a: " + "{b: " * 3000 + "1" + "}" * 3000 + "\n",
    "huge": "a: " + "x" * 2_000_000 + "\n",
    "many": "".join(f"k{i}: 1\n" for i in range(70_000)),
    "many digits": "a: " + "9" * 100_000 + "\n",
    "base sixty": "a: 1" + ":1" * 100_000 + "\n",
    "python tag": "a: !!python/object/apply:os.mkdir [MARK]\n",
    "python module": "a: !!python/module:antigravity ''\n",
    "binary": "\x00\x01\x02",
    "base sixty in quotes": 'a: !!int "1' + ":1" * 400_000 + '"\n',
    "hexadecimal in quotes": 'a: !!int "0x' + "f" * 5000 + '"\n',
    "a number of no digits": "a: !!int ''\n",
    "a truth of another word": "a: !!bool x\n",
    "a time that is none": "a: !!timestamp x\n",
    "a bad date": "a: 2001-99-99\n",
    "torn": "a: [1, 2\n",
}
NAMES = {
    "climbs": "../../x", "absolute": "/etc/x", "NUL": "a\0b", "long": "x" * 300, "dots": "..",
    "dot": ".", "escape": "\x1b[2Jx", "line": "a\nb", "backslash": "a\\b", "empty": "",
    "blank": " ", "hidden": ".ssh", "option": "-rf", "home": "~root", "bidi": "a\u202eb",
    "markup": "<script>x</script>", "deep": "a/b", "return": "a\rb", "surrogate": "a\udcffb",
    "drive": "C:x",
}  # fmt: skip
SETTLED: dict[str, Callable[[str], Any]] = {
    "model by create": lambda m: {
        "model": {"_target_": "genlab.models.vae.VAE", "net": _create(m)}
    },
    "callback by create": lambda m: {"callbacks": {"x": _create(m)}},
    "env": lambda m: {"name": "${oc.env:HOME}"},
    "env in data": lambda m: {"data": {"root": "${oc.env:HOME}"}},
    "interpolation": lambda m: {"name": "${seed}"},
    "its own trust": lambda m: {"trust": ["pathlib", "os"], "model": _touch(m)},
    "trainer": lambda m: {"trainer": _touch(m)},
    "a date": lambda m: {"seed": __import__("datetime").date(2020, 1, 1)},
    "no model": lambda m: {"model": None},
    "data is a text": lambda m: {"data": "os.mkdir"},
    "data without a class": lambda m: {"data": {"batch_size": 2}},
    "no budget": lambda m: {"budget": None, "model": None},
    "a seed of two lines": lambda m: {"seed": f"1\n{m}", "model": None},
    "model is a text": lambda m: {"model": "os.mkdir"},
    "name climbs": lambda m: {"name": "../../x"},
    "name is an escape": lambda m: {"name": "\x1b]0;x\x07"},
}
CONFIGS = [
    *_nodes(),
    *(Config(f"folder: {n}", "folder", make, says) for n, (make, says) in FOLDERS.items()),
    *(
        Config(f"yaml: {n}", "yaml", lambda f, m, text=text: text.replace("MARK", m))
        for n, text in YAMLS.items()
    ),
    *(Config(f"name: {n}", "name", lambda f, m, v=v: v, "name") for n, v in NAMES.items()),
    *(Config(f"settled: {n}", "settled", lambda f, m, v=v: v(m)) for n, v in SETTLED.items()),
]
