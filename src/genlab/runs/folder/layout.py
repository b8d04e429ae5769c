"""A run's folder: what lies where, who may write in it, and how a folder is found by name.

config.yaml overrides.yaml provenance.json   what was asked, by whom, with which versions
config.yaml.sha256                           its hash: a resume refuses settings that were changed
precision.json                               what trainer.precision=auto has chosen, and why
metrics.jsonl                                the append-only ledger: the truth
play/                                        what was asked on the page of `genlab play`, and judged
checkpoints/ samples/ evaluation/            weights, looks during training, the last measure
report.html wandb/                           to look at
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import yaml

from genlab.runs.gate.files import check_plain, read_yaml
from genlab.runs.say.errors import UserError
from genlab.runs.say.terminal import say

WANDBS_LOG = "/logs/debug-core.log"  # linked to its cache, and not opened again


def outputs() -> Path:
    return Path(os.environ.get("GENLAB_OUTPUTS", "outputs"))


def find_run(path: str | Path) -> Path:
    """The run folder that `path` names; "last" is the one that was started last."""
    if str(path) == "last":
        runs = [p.parent for p in outputs().glob("**/config.yaml") if p.is_file()]
        if not runs:
            raise UserError(
                f"there is no run under {outputs()}/ yet: start one with `genlab train`"
            )
        return max(runs, key=started)
    folder = Path(path)
    if folder.is_file() and folder.suffix == ".ckpt":
        folder = folder.parent.parent
    if not (folder / "config.yaml").is_file():
        inside = sorted((p.parent for p in folder.glob("*/config.yaml")), key=started)
        there = f"; the newest in it: {inside[-1]}" if inside else ""
        raise UserError(
            f"{path} is no run folder: it has no config.yaml; give outputs/<name>/<run>{there}"
        )
    check_own(folder)
    return folder


def check_own(run: Path) -> None:
    """Refuse a foreign run folder of which a link leads out, or where a pipe would be waited for.

    wandb's folder has links of its own: to what lies in it, and to the log of its process.
    """
    wandb = os.path.join(run, "wandb")
    for at, folders, files in os.walk(run):
        for name in (*folders, *files):
            place = os.path.join(at, name)
            try:
                kind = os.lstat(place).st_mode
            except FileNotFoundError:  # half-written, and in its place since
                continue
            if stat.S_ISDIR(kind) or stat.S_ISREG(kind):
                _check_kind(Path(place).relative_to(run), folder=stat.S_ISDIR(kind), place=place)
                continue
            if not stat.S_ISLNK(kind):
                raise UserError(f"{place} is neither a file nor a folder: remove it")
            inside = os.path.realpath(place).startswith(os.path.realpath(wandb) + os.sep)
            if Path(at).is_relative_to(wandb) and (inside or place.endswith(WANDBS_LOG)):
                continue
            raise UserError(
                f"{place} is a link to {os.readlink(place)}: a run folder holds its own files;"
                " put a copy in its place, or remove it"
            )


FOLDERS = ("checkpoints", "samples", "evaluation", "wandb", "play", "play/preferences")
FILES = re.compile(
    r"\w+\.(yaml|json|jsonl|html)|config\.yaml\.sha256|\.writer|\.lock|metrics\.damaged\.jsonl"
    r"|checkpoints/[^/]*\.ckpt(\.sha256)?|((checkpoints|samples|evaluation)/)?\.[^/]*\.tmp"
    r"|(samples|evaluation|play)/[^/]+\.(png|gif|txt|csv|wav|mid|jsonl|safetensors)"
    r"|play/preferences/[^/]+\.safetensors"
)


def _check_kind(path: Path, *, folder: bool, place: str) -> None:
    """Refuse a folder where a run has a file, and a file where it has a folder."""
    if folder and FILES.fullmatch(str(path)):
        raise UserError(f"{place} is a folder, where a run has a file: remove it")
    if not folder and str(path) in FOLDERS:
        raise UserError(f"{place} is a file, where a run has a folder: remove it")


def started(run: Path) -> tuple[float, str]:
    """When a run was started, from its own provenance (never from the file system's clock)."""
    try:
        return float(read_json(run / "provenance.json").get("started", 0.0)), run.name
    except (ValueError, TypeError, OverflowError):
        return 0.0, run.name


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("x", encoding="utf-8") as f:  # follows no link that was put there
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


BREAKS = (
    "\x85\u2028\u2029"  # which YAML's writer does not escape and its reader takes for line ends
)


def write_yaml(path: Path, data: Any) -> None:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    if any(c in text for c in BREAKS):
        text = yaml.safe_dump(data, sort_keys=False)
    write_text(path, text)


def write_json(path: Path, data: Any) -> None:
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds; empty where it is not there, torn, or no mapping."""
    try:
        data = json.loads(read_small(path) or b"{}")
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def read_small(path: Path, limit: int = 16 * 2**20) -> bytes:
    """A small file's bytes, at most `limit`; none of a pipe, which would be waited for."""
    if not path.is_file():
        return b""
    with path.open("rb") as f:
        return f.read(limit)


def file_hash(file: Path) -> str:
    """sha256 of a file, in hex."""
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def hash_line(file: Path) -> str:
    """A file's line in a list of hashes, as sha256sum writes it."""
    return f"{file_hash(file)}  {file.name}\n"


def write_settings(run: Path, settings: dict[str, Any]) -> None:
    """config.yaml and its hash; killed in between, it has none, which is no damage."""
    path = run / "config.yaml"
    seal = path.with_name(path.name + ".sha256")
    seal.unlink(missing_ok=True)
    write_yaml(path, settings)
    write_text(seal, hash_line(path))


def check_seal(file: Path) -> None:
    """Refuse a file that is not as it was sealed; one without a seal (an older run's) passes."""
    beside = file.with_name(file.name + ".sha256")
    if beside.exists() and read_small(beside, 1000) != hash_line(file).encode():
        raise UserError(
            f"{file} was changed or damaged since the run began (see {beside.name}): put the"
            f" original back, or delete {beside.name} to take the file as it is"
        )


def remove_empty(folder: Path) -> None:
    """Nothing half-written: remove the folder, and the two around it, where nothing is in them."""
    for empty in (folder, folder.parent, folder.parent.parent):
        with contextlib.suppress(OSError):
            empty.rmdir()


def tidy(run: Path) -> None:
    """Remove what a killed writer left half-written; only the folder's one writer may."""
    for folder in (run, run / "checkpoints", run / "samples"):
        for left in folder.glob(".*.tmp"):
            left.unlink(missing_ok=True)


def check_room(run: Path, needed: int) -> None:
    """Refuse to start where the disk has not `needed` bytes free."""
    if (free := shutil.disk_usage(run).free) < needed:
        raise UserError(
            f"{run}: {free / 2**20:,.0f} MiB free, {needed / 2**20:,.0f} MiB needed for"
            " checkpoints; free some space or set GENLAB_OUTPUTS to another disk"
        )


def read_settings(run: Path) -> dict[str, Any]:
    """A run's config.yaml, which may be foreign."""
    path = run / "config.yaml"
    settings = read_yaml(path)
    check_seal(path)
    check_plain(settings, str(path))
    if not isinstance(settings, dict) or not isinstance(settings.get("model"), dict):
        raise UserError(f"{path} holds no settings of a run")
    return settings


def claim(run: Path) -> contextlib.AbstractContextManager:
    """The lock that makes this process the folder's only writer; freed when the process ends."""
    from filelock import FileLock, Timeout

    check_own(run)
    lock = FileLock(run / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        try:
            owner = (run / ".writer").read_text().strip()
        except OSError:
            owner = "another process"
        raise UserError(f"{run} is being written by {owner}: wait for it or stop it") from None
    except (OSError, NotImplementedError) as error:  # a network's disk without locks
        say(f"genlab: {run} cannot be locked ({error}): see to it that no second run writes there")
        return contextlib.nullcontext()
    write_text(run / ".writer", f"process {os.getpid()} on {os.uname().nodename}")
    return lock
