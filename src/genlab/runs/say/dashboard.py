"""Weights & Biases and other loggers, made harmless: never waited for, never fatal.

Read: `loggers` makes those that a config names, `reopened` those of a run that is measured later;
`prepare_wandb` settles the mode (offline unless asked, and where the server does not answer);
`Harmless` holds any logger in a thread of its own. The truth is the ledger, metrics.jsonl: whatever
becomes of a dashboard, the run continues.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import queue
import re
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from pytorch_lightning.loggers import Logger, WandbLogger

from genlab.runs.devices.ranks import rank_here
from genlab.runs.folder.resume import read_overrides
from genlab.runs.gate import classes
from genlab.runs.gate.files import folder_name
from genlab.runs.say.errors import UserError, root_cause
from genlab.runs.say.secrets import NAME, redact, restore
from genlab.runs.say.terminal import say
from genlab.runs.settings.plan import Plan
from genlab.runs.sweeps.cells import own_words

PATIENCE = 2.0  # seconds to wait for the server before going on offline
OPENING = 2.5  # seconds that a run waits for a logger at its start; later it comes, or not
TAG = 60  # letters of a tag or a group: wandb takes 64
CLOSING = 5.0  # seconds that a run waits at its end for what is not yet written or sent
# what wandb keeps of its node
KEPT_BY_WANDB = ("name", "project", "group", "notes", "tags", "job_type")
SETTINGS = "wandb.sdk.wandb_settings"
WANDB = "pytorch_lightning.loggers.WandbLogger"
# where a run is measured later, of the loggers that write into its folder
KEPT = {
    WANDB: ("_target_", "project", "name", "group", "tags"),
    "pytorch_lightning.loggers.TensorBoardLogger": ("_target_", "name", "version"),
}
WAITING = 10_000  # calls that may wait for a slow logger
ELSEWHERE = "metrics.jsonl and report.html hold everything"
# wandb's own record of the run: the command line, the git remote and the packages may hold
# secrets, and genlab's provenance has what is needed
SILENT = {
    "silent": True, "console": "off", "x_disable_meta": True, "x_disable_machine_info": True,
    "disable_git": True, "disable_code": True, "disable_job_creation": True,
    "x_save_requirements": False, "init_timeout": 5, "finish_timeout": CLOSING - 1,
}  # fmt: skip


def loggers(plan: Plan, run: Path, shown: dict[str, Any]) -> list:
    """The loggers named in YAML; a dashboard that cannot be had never stops or delays a run.

    `shown`: the settings that each is told, without secrets.
    """
    if rank_here():
        return []
    made = []
    nodes = plan["logger"] or {}
    for name, node in nodes.items() if isinstance(nodes, dict) else [("", nodes)]:
        if not node:
            continue
        if not isinstance(node, dict):
            raise UserError(f"logger={node!s:.60}: loggers by name, each with a _target_")
        cls, more = classes.find(node["_target_"], plan.trust, f"logger.{name}"), {}
        wandb = isinstance(cls, type) and issubclass(cls, WandbLogger)
        # a secret goes back under a name that is a secret's, and into no name, path or text
        node = {
            k: restore(v, f"logger.{name}.{k}") if NAME.search(k) else v for k, v in node.items()
        }
        if wandb:
            node, more = prepare_wandb(placed(node, run), run), {"settings": SILENT}
            if node is None:
                continue
        node["save_dir"] = str(run)
        for key in ("name", "version"):  # parts of a path under it
            if node.get(key) and not wandb:
                folder_name(node[key])

        make = partial(_made, Plan({"logger": {name: node}}, plan.trust), f"logger.{name}", more)
        try:
            logger = make()
        except UserError:
            raise
        except Exception as error:
            say(f"genlab: logger.{name} is left out: {root_cause(error)}")
            continue
        online = node.get("mode") == "online"
        offline = partial(make, mode="offline", offline=True) if online else None
        logger = Harmless(logger, f"logger.{name}", instead=offline)
        logger.log_hyperparams({k: v for k, v in shown.items() if k != "logger"})
        made.append(logger)
    return made


def reopened(settings: dict[str, Any], run: Path) -> list:
    """The run's own loggers again, for what is measured later: those that write into its folder.

    The settings come from a file, perhaps from somebody else: none of their loggers sends anything.
    `wandb sync` and WANDB_MODE=online send it, into the same run.
    """
    nodes = {}
    there = settings.get("logger")
    for name, node in there.items() if isinstance(there, dict) else ():
        if not isinstance(node, dict):
            continue
        target, known = node.get("_target_"), wandb_id(run)
        if target in KEPT and (known or target != WANDB):
            nodes[name] = {k: node[k] for k in KEPT[target] if k in node}
            nodes[name] |= {"mode": "offline", "id": known} if target == WANDB else {}
    return loggers(Plan({"logger": nodes}), run, redact(settings))


def wandb_id(run: Path) -> str:
    """The id under which wandb knows a run, from the newest of its folders; "" if it has none."""
    named = re.compile(r"(offline-)?run-(\d+_\d+)-(\w+)")
    found = (named.fullmatch(p.name) for p in (run / "wandb").glob("*"))
    return max(((m[2], m[3]) for m in found if m), default=("", ""))[1]


def placed(node: dict[str, Any], run: Path) -> dict[str, Any]:
    """A logger's settings with what the run's folder tells: its id where it has been logged before.

    A cell of a sweep is told from the others by its folder's name, in a group that is called after
    the sweep's folder, and has as tags what it alone was given.
    """
    if known := wandb_id(run):
        node = {"id": known} | node
    if not (run.parent / "multirun.yaml").is_file():
        return node
    if not node.get("group"):
        node = {**node, "group": run.parent.resolve().name[:TAG]}
    words = read_overrides(run)
    own = [w[:TAG] for w in own_words(run, words).split() if "=" in w]
    return {
        **node,
        "name": run.name,
        "tags": list(dict.fromkeys([*(node.get("tags") or ()), *own])),
    }


def _made(plan: Plan, place: str, more: dict, **changes: Any) -> Any:
    """A logger of a config's node, and of arguments that no config may give."""
    made = plan.build(place, **more, **changes)
    # Lightning hands on a setting that wandb warns of, at every start
    getattr(made, "_wandb_init", {}).pop("anonymous", None)
    return made


def prepare_wandb(node: dict[str, Any], run: Path) -> dict[str, Any] | None:
    """Logger settings that cannot hang: online only if the server answers; None: leave out."""
    if importlib.util.find_spec("wandb") is None:
        say("genlab: wandb is not installed: metrics.jsonl and report.html alone")
        return None
    mode = node.get("mode", "offline")
    mode = os.environ.get("WANDB_MODE") if mode == "offline" else mode
    # the logger itself leaves the old word in the environment, which the next cell of a sweep reads
    mode = {None: "offline", "dryrun": "offline", "run": "online"}.get(mode, mode)
    if mode not in ("offline", "online", "disabled"):
        raise ValueError(f"logger.wandb.mode={mode!r}: allowed are offline, online, disabled")
    if mode == "disabled":
        return None
    if mode == "online" and (problem := _unreachable()):
        say(f"genlab: wandb goes on offline ({problem}); `wandb sync` sends it later")
        mode = "offline"
    without_workspace()
    # its reports of errors and of use hold what ours leave out, and are waited for at exit
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")  # what it says before its settings are read
    logging.raiseExceptions = False  # a log of its own that cannot be written is no error of ours
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of wandb's thread: notices are ours
    return {
        **node,
        **{k: without_secrets(node[k]) for k in KEPT_BY_WANDB if node.get(k)},
        "mode": mode, "save_dir": str(run), "offline": mode == "offline",
    }  # fmt: skip


def without_workspace() -> None:
    """The file that wandb reads in the working folder counts for nothing: it may be a stranger's.

    It can name the server that is sent the key, who it is sent as, and folders to write to.
    """
    found = [p for p in ("wandb/settings", ".wandb/settings") if os.path.lexists(p)]
    if not found:
        return
    say(
        f"genlab: {found[0]} in the working folder is not read: a server is named by WANDB_BASE_URL"
        " or ~/.config/wandb/settings"
    )
    nowhere = property(lambda self: os.devnull)
    importlib.import_module(SETTINGS).Settings.settings_workspace = nowhere


def without_secrets(value: str | list[str]) -> str | list[str]:
    """What wandb is given: no secret, and no mark that `restore` would replace by one."""
    if isinstance(value, list):
        return [without_secrets(v) for v in value]
    return str(redact(value)).replace("[redacted", "(redacted")


def _unreachable() -> str | None:
    if not os.environ.get("WANDB_API_KEY") and not (Path.home() / ".netrc").exists():
        return "no key: set WANDB_API_KEY or run `wandb login`"
    own = importlib.import_module(SETTINGS).Settings().base_url
    url = urlparse(os.environ.get("WANDB_BASE_URL") or own)
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
        socket.create_connection((url.hostname or "", port), timeout=PATIENCE).close()
    except OSError as error:
        return f"{url.hostname} does not answer: {error}"
    return None


class Harmless(Logger):
    """A logger whose every call waits in a queue for a thread of its own.

    The first call that fails drops the logger, with one notice; a call that hangs holds up nothing
    but the calls behind it.
    """

    def __init__(
        self, logger: Logger, label: str, *, instead: Callable[[], Logger] | None = None
    ) -> None:
        """`label` names it in notices; `instead` makes another one where it cannot be opened."""
        super().__init__()
        self._logger, self._label, self._instead = logger, label, instead
        self._calls: queue.Queue[Callable[[], Any] | None] = queue.Queue(WAITING)
        self._opened, self._dropped = threading.Event(), False
        self._thread = threading.Thread(target=self._work, name=label, daemon=True)
        self._thread.start()
        self._opened.wait(OPENING)

    def _work(self) -> None:
        try:
            self._open()
            self._opened.set()
            while (work := self._calls.get()) is not None:
                work()
        except BaseException as error:
            self._drop(f"{type(error).__name__}: {error}")
        finally:
            self._opened.set()

    def _open(self) -> None:
        try:
            experiment = getattr(self._logger, "experiment", None)
        except Exception as error:
            if self._instead is None:
                raise
            say(f"genlab: {self._label} goes on offline ({error}); `wandb sync` sends it later")
            self._logger = self._instead()
            experiment = self._logger.experiment
        if (define := getattr(experiment, "define_metric", None)) is not None:
            define("examples")
            define("*", step_metric="examples")

    def _drop(self, why: str) -> None:
        if not self._dropped:
            self._dropped = True
            say(f"genlab: {self._label} is dropped ({why}); {ELSEWHERE}")

    def _later(self, method: str, *args: Any, **kwargs: Any) -> None:
        if self._dropped:
            return
        try:
            self._calls.put_nowait(lambda: self._method(method)(*args, **kwargs))
        except queue.Full:
            self._drop("it does not keep up")

    def _method(self, name: str) -> Callable:
        if name in BOARD and "tensorboard" in type(self._logger).__module__:
            return partial(BOARD[name], self._logger)
        return getattr(self._logger, name)

    def __getattr__(self, name: str) -> Any:
        """log_image, log_text and the like, where the logger has them."""
        if name.startswith("log_") and callable(self._method(name)):
            return partial(self._later, name)
        raise AttributeError(name)

    @property
    def name(self) -> str:
        return self._label

    @property
    def version(self) -> str:
        return ""

    @property
    def experiment(self) -> None:
        """Not to be had outside its thread."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._later("log_metrics", metrics, step=step)

    def log_hyperparams(self, params: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        self._later("log_hyperparams", params)

    def close(self) -> None:
        """Finish what waits, for `CLOSING` seconds at most."""
        try:
            self._calls.put(self._finish, timeout=0.1)
            self._calls.put(None, timeout=0.1)
        except queue.Full:
            self._drop("it does not keep up")
        self._thread.join(CLOSING if not self._dropped else 0.5)
        if self._thread.is_alive():
            self._drop(f"not done after {CLOSING:.0f} s")
        if self._dropped and "wandb" in type(self._logger).__module__:
            _end_service()

    def _finish(self) -> None:
        self._logger.finalize("success")
        wandb = sys.modules.get("wandb")  # only if a logger has imported it
        if wandb is not None and getattr(wandb, "run", None) is not None:
            wandb.finish()
        if wandb is not None and self._instead is not None:  # online: at exit it would wait
            wandb.teardown()


def _board_image(logger: Any, key: str, images: list[str], step: int | None = None) -> None:
    """TensorBoard takes pictures as arrays, and its logger has no method for them."""
    import numpy as np
    from PIL import Image

    for i, path in enumerate(images):
        with Image.open(path) as image:
            array = np.asarray(image.convert("RGB"))
        tag = f"{key}/{i}" if len(images) > 1 else key
        logger.experiment.add_image(tag, array, step, dataformats="HWC")


def _board_text(logger: Any, key: str, columns: list, data: list, step: int | None = None) -> None:
    for row in data:
        logger.experiment.add_text(f"{key}/{row[0]}", str(row[-1]), step)


def _board_table(logger: Any, key: str, columns: list, data: list, step: int | None = None) -> None:
    """TensorBoard shows a text as Markdown: a table of it."""
    rows = [columns, ["---"] * len(columns), *data]
    cells = [[str("" if v is None else v).replace("|", "\\|") for v in row] for row in rows]
    text = "\n".join(f"| {' | '.join(' '.join(c.split()) for c in row)} |" for row in cells)
    logger.experiment.add_text(key, text, step)


BOARD = {"log_image": _board_image, "log_text": _board_text, "log_table": _board_table}


def _end_service() -> None:
    """End the process that wandb left: at exit it would be waited for without a limit, and a
    sweep's next cell would be handed to it."""
    import signal

    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = entry.read_text().partition("(")[2].rpartition(")")
            if name.startswith("wandb") and int(rest.split()[1]) == os.getpid():
                os.kill(int(entry.parent.name), signal.SIGKILL)
        except (OSError, ValueError, IndexError):
            continue
    forget = threading.Thread(target=_forget_service, daemon=True)
    forget.start()
    forget.join(1)


def _forget_service() -> None:
    with contextlib.suppress(Exception):
        sys.modules["wandb"].teardown()
