"""Checkpoints: written whole or not at all, checked before they are read, and enough by themselves.

A checkpoint holds tensors and plain data: weights (averaged ones under `state_dict`), optimisers,
clock, the resolved settings and what the data module needs to decode. Beside each lies NAME.sha256:
the hash of the bytes that were meant, so that whatever happens to them afterwards is found.
`read` is the one call of `torch.load` in genlab; it takes local files only and runs no code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from genlab.runs.folder.layout import find_run
from genlab.runs.gate import torchfile
from genlab.runs.gate.files import plain
from genlab.runs.say.errors import UserError, root_cause
from genlab.runs.settings.compose import build

if TYPE_CHECKING:
    from genlab.models.base import GenerativeModel

MODEL_KEYS = ("data", "model", "seed", "name")  # what rebuilds a model and decodes its samples
SLACK = 2**28  # bytes of tables (masks, positions) that a model may make beside its weights


def manifest(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Hashing:
    """A file that hashes what passes through, in a second thread that goes on during the fsync.

    In large blocks, for each costs the thread a wait for Python's lock.
    """

    BLOCK, WAITING = 2**23, 8  # bytes; how many blocks may wait

    def __init__(self, file, pool: Executor) -> None:
        self.file, self.pool, self.hash = file, pool, hashlib.sha256()
        self.size, self.error = 0, None
        self._block, self._jobs = bytearray(), deque()

    def write(self, data) -> int:
        view = memoryview(data).cast("B")
        self.size += len(view)
        for first in range(0, len(view), self.BLOCK):
            self._block += view[first : first + self.BLOCK]  # a copy: torch reuses its memory
            if len(self._block) >= self.BLOCK:
                self._hand_over()
        try:
            return self.file.write(view)
        except OSError as error:  # torch would hide it behind its own
            self.error = error
            raise

    def _hand_over(self) -> None:
        self._jobs.append(self.pool.submit(self.hash.update, self._block))
        self._block = bytearray()
        if len(self._jobs) > self.WAITING:
            self._jobs.popleft().result()

    def end(self) -> None:
        """All has been written: the rest goes to the thread."""
        self._hand_over()

    def digest(self) -> str:
        while self._jobs:
            self._jobs.popleft().result()
        return self.hash.hexdigest()

    def flush(self) -> None:
        self.file.flush()


@contextlib.contextmanager
def _without_crc32() -> Iterator[None]:
    """Within: torch leaves out the archive's CRC32, half as dear as the sha256 that replaces it."""
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        yield
    finally:
        torch.serialization.set_crc32_options(before)


def save(checkpoint: dict, path: Path) -> None:
    """Write a checkpoint and its hash durably; on any error the files of before are untouched."""
    new_folder = not path.parent.is_dir()
    path.parent.mkdir(parents=True, exist_ok=True)
    if new_folder:
        _sync_folder(path.parent.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as f, ThreadPoolExecutor(1) as pool, _without_crc32():
            hashing = _Hashing(f, pool)
            try:
                torch.save(checkpoint, hashing)
            except Exception as error:
                raise hashing.error or error from None
            hashing.end()
            f.flush()
            os.fsync(f.fileno())
            digest = hashing.digest()
            if (size := os.fstat(f.fileno()).st_size) != hashing.size:
                raise OSError(f"{size} of {hashing.size} bytes are in the file")
        line, before = f"{digest}  {path.name}\n", ""
        if path.exists() and not damage(path):  # until it is replaced, both are as promised
            before = manifest(path).read_text()
        # first the hash: a file without one is not valid
        _write_manifest(path, line + before)
        try:
            os.replace(temporary, path)
        except OSError:
            if before:
                _write_manifest(path, before)
            elif not path.exists():
                manifest(path).unlink()
            raise
        if before:
            _write_manifest(path, line)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, f"not saved: {error.strerror or error}", str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_manifest(path: Path, text: str) -> None:
    temporary = path.with_name(f".{manifest(path).name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, manifest(path))
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    manifest(path).unlink(missing_ok=True)


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint file; None if it is as it was written."""
    if not path.is_file():
        return "is not there"
    try:
        promised = manifest(path).read_bytes()
    except OSError:
        return f"has no readable {manifest(path).name} beside it"
    # two lines only where a save of the same name was cut short: the file before and the one after
    line = rb"[0-9a-f]{64}  " + re.escape(path.name.encode()) + rb"\n"
    if not re.fullmatch(rb"(%b){1,2}" % line, promised):
        return f"has a damaged {manifest(path).name} beside it"
    try:
        with path.open("rb") as f:
            found = hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if found.encode() in (part[:64] for part in promised.splitlines()):
        return None
    return "is damaged: its sha256 is not the one it was written with"


def checkpoint_files(run: Path) -> list[Path]:
    """All checkpoints of a run, good or not, newest first: by their number, never by a clock."""
    named = {
        int(found[1]): path
        for path in (run / "checkpoints").glob("examples=*.ckpt")
        if (found := re.fullmatch(r"examples=(\d+)\.ckpt", path.name))
    }
    return [named[number] for number in sorted(named, reverse=True)]


def valid_checkpoints(run: Path) -> tuple[list[Path], list[str]]:
    """The run's undamaged checkpoints, newest first, and what is wrong with the rest."""
    good, notices = [], []
    for file in checkpoint_files(run):
        if problem := damage(file):
            notices.append(f"{file.name} {problem}")
        else:
            good.append(file)
    return good, notices


def newest(run: Path) -> Path:
    """The newest valid checkpoint of a run; damaged ones are named and skipped."""
    path, notices = newest_and_notices(run)
    for notice in notices:
        warnings.warn(f"skipped: {notice}", stacklevel=2)
    return path


def newest_and_notices(run: Path) -> tuple[Path, list[str]]:
    """The newest valid checkpoint, and what is wrong with newer ones."""
    notices = []
    for file in checkpoint_files(run):
        if not (problem := damage(file)):
            return file, notices
        notices.append(f"{file.name} {problem}")
    why = "; ".join(notices) or "none was written yet"
    raise UserError(f"{run} has no valid checkpoint ({why}); start it anew with `genlab train`")


def read(path: Path, *, verify: bool = True) -> dict:
    """A checkpoint's contents on the CPU: plain data and tensors, never code."""
    if re.match(r"\w{2,}:/", str(path)):
        raise UserError(f"{path}: checkpoints are read from local files only; download it first")
    if not path.is_file():
        raise UserError(
            f"{path} is not there: give a run folder, a .ckpt file or an exported folder"
        )
    if verify and manifest(path).exists() and (problem := damage(path)):
        raise UserError(f"{path} {problem}")
    # an environment variable can switch off torch's safe loading: not here
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    try:
        torchfile.check(path)
        # mapped, a storage is a slice of the file: one that claims more cannot read or take it
        mapped = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        loaded = torchfile.owned(mapped, path.stat().st_size)
        if not isinstance(loaded, dict):
            raise ValueError(f"it holds a {type(loaded).__name__}")
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} is not a checkpoint that genlab reads: {first[:200]}") from error
    return loaded


def find_checkpoint(path: str | Path) -> Path:
    """The checkpoint that a run folder, a file or "last" stands for."""
    if str(path) != "last" and Path(path).is_file():
        return Path(path)
    return newest(find_run(path))


def load_model(
    path: str | Path, *, trust: Sequence[str] = (), raw: bool = False, model: dict | None = None
) -> GenerativeModel:
    """The model of a checkpoint, rebuilt from it alone, in evaluation mode on the CPU.

    `raw` takes the last weights instead of their running average; `model` replaces the settings
    that the checkpoint holds (another sampler).
    """
    loaded = read_run(path)
    settings = {**(model or loaded["genlab"]["settings"]["model"]), "optim": None}
    weights = (loaded.get("current_model_state") if raw else None) or loaded["state_dict"]
    if not trust:
        _fit(settings, weights, path)
    built: GenerativeModel = build(settings, trusted=trust, where="model")
    load_weights(built, weights, path)
    built.clock.load_state_dict(loaded["clock"])
    return built.eval()


def _fit(settings: dict, weights: dict[str, torch.Tensor], path: Any) -> None:
    """Refuse settings that describe another or a larger model than the file has weights for.

    The model is built without memory, and no further than the file's number of weights allows.
    """
    left = {"parameters": 4 * len(weights) + 100, "modules": 20 * len(weights) + 1000}

    def counted(kind: str):
        def count(*_: Any) -> None:
            left[kind] -= 1
            if left[kind] < 0:
                raise UserError(
                    f"{path} does not fit the model: its settings describe a larger one"
                )

        return count

    hooks = [
        register_module_parameter_registration_hook(counted("parameters")),
        register_module_module_registration_hook(counted("modules")),
    ]
    try:
        with torch.device("meta"):
            built = build(settings, where="model")
    except Exception as error:
        cause = root_cause(error)
        said = (
            str(cause) if isinstance(cause, UserError) else f"they build no model: {cause!r:.200}"
        )
        raise UserError(said if str(path) in said else f"{path}: its settings: {said}") from error
    finally:
        for hook in hooks:
            hook.remove()
    compare(built.state_dict(), weights, path)
    held = sum(t.numel() * t.element_size() for t in weights.values())
    buffers = sum(t.numel() * t.element_size() for t in built.buffers())
    if buffers > 4 * held + SLACK:
        raise UserError(f"{path}: its settings ask for {buffers / 1e9:.1f} GB beside the weights")


def read_run(path: str | Path) -> dict:
    """The contents of a run's newest checkpoint, of a checkpoint file or of an exported folder."""
    folder = Path(path)
    if (folder / "model.safetensors").is_file():
        from genlab.runs.folder.exported import read_export

        loaded = read_export(folder)
    else:
        loaded = read(find_checkpoint(path))
    if "genlab" not in loaded or "state_dict" not in loaded:
        raise UserError(f"{path} was not written by genlab: it holds no settings to rebuild from")
    own, weights = loaded["genlab"], loaded["state_dict"]
    parts = own.get("settings") if isinstance(own, dict) else None
    if not isinstance(parts, dict) or not all(
        isinstance(parts.get(k), dict) and "_target_" in parts[k] for k in ("data", "model")
    ):
        raise UserError(f"{path} holds no settings of a model and its data")
    plain(parts, f"{path}: settings")
    plain(own.get("data_state"), f"{path}: data_state", texts=False)  # texts: a tokenizer's tokens
    for state in (weights, loaded.get("current_model_state") or {}):
        if not isinstance(state, dict) or not all(
            isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()
        ):
            raise UserError(f"{path}: its weights are not tensors by name")
    return loaded


def load_weights(model: torch.nn.Module, state: dict[str, torch.Tensor], path: Any) -> None:
    """Put weights in, or say in one line which do not fit."""
    compare(model.state_dict(), state, path)
    model.load_state_dict(state)


def compare(own: dict[str, torch.Tensor], state: dict[str, torch.Tensor], path: Any) -> None:
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or extra:
        raise UserError(
            f"{path} does not fit the model: missing {missing[:3]}, not in the model {extra[:3]}"
        )
    for name, value in own.items():
        if value.shape != state[name].shape:
            raise UserError(
                f"{path} does not fit the model: {name} is {list(state[name].shape)} in the file"
                f" and {list(value.shape)} in the model"
            )


def load_data(path: str | Path, *, trust: Sequence[str] = ()):
    """The data module a run was trained on, able to decode samples without its files."""
    loaded = read_run(path)
    data = build(loaded["genlab"]["settings"]["data"], trusted=trust, where="data")
    try:
        data.load_state(loaded["genlab"]["data_state"])
    except Exception as error:  # the tokenizers library raises plain Exceptions
        raise UserError(f"{path}: its data_state does not fit its data: {error!r:.200}") from error
    return data
