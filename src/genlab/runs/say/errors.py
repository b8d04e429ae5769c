"""Errors where the user is: one line that says what, where and the remedy, and the exit code.

0 done; 1 a fault of the program; 2 the user's mistake; 20 the numbers stopped being finite.
"""

from __future__ import annotations

import difflib
import errno
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

USER, FAULT, NOT_FINITE = 2, 1, 20


class UserError(ValueError):
    """Something to put right in the command line or in a file: one line, whatever these hold."""

    def __init__(self, text: object = "") -> None:
        super().__init__(" ".join(str(text).splitlines()))


def nearest(word: str, known: Iterable[str], num: int = 3) -> str:
    """ ", nearest: a, b" or the whole list where it is short; nothing where nothing is known."""
    known = sorted(map(str, known))
    close = difflib.get_close_matches(word, known, n=num, cutoff=0.5)
    if close:
        return f"; nearest: {', '.join(close)}"
    return f"; there is: {', '.join(known[:30])}" if known else ""


def is_users(error: BaseException) -> bool:
    """True where genlab itself refused: the error was raised in genlab's own code on purpose."""
    if isinstance(error, UserError) or type(error).__name__ == "MisconfigurationException":
        return True  # the second is Lightning's, of a callback that does not fit the run
    if not isinstance(error, ValueError | FileNotFoundError | FileExistsError | PermissionError):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    package = Path(__file__).resolve().parents[2]
    return bool(frames) and Path(frames[-1].filename).resolve().is_relative_to(package)


def theirs(error: BaseException) -> list[traceback.FrameSummary]:
    """Where the error passed through code that is neither genlab's nor an installed library's.

    The innermost is last: of a package that the user trusts, a line that does not parse too.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(traceback.FrameSummary(error.filename, error.lineno, "<module>"))
    ours = [Path(__file__).resolve().parents[2], *map(Path, set(sysconfig.get_paths().values()))]
    own = [f for f in frames if f.filename[:1] != "<" and Path(f.filename).suffix == ".py"]
    return [f for f in own if not any(Path(f.filename).resolve().is_relative_to(p) for p in ours)]


def of_composition(error: BaseException) -> bool:
    """True where Hydra or OmegaConf could not put the settings together."""
    if type(error).__name__ == "InstantiationException":
        return False
    if type(error).__module__.startswith(("hydra", "omegaconf")):
        return True
    frames = traceback.extract_tb(error.__traceback__)  # plain ValueErrors of OmegaConf's, Hydra's
    places = ("/omegaconf/", "/hydra/_internal/config", "/hydra/plugins/config")
    return isinstance(error, ValueError) and any(
        p in f.filename for f in frames[-1:] for p in places
    )


def root_cause(error: BaseException) -> BaseException:
    """The error beneath Hydra's wrapping, and OmegaConf's of a refusal."""
    beneath: BaseException | None = error
    while beneath is not None:
        if isinstance(beneath, UserError):
            return beneath
        beneath = beneath.__cause__ or beneath.__context__
    while type(error).__module__.startswith("hydra") and error.__cause__ is not None:
        error = error.__cause__
    return error


NO_MEMORY = ("can't allocate memory", "out of memory")  # in torch's words, on any device


def of_memory(error: BaseException) -> str:
    """One line where the memory did not suffice; empty if it did."""
    if not isinstance(error, MemoryError | RuntimeError):
        return ""
    said = " ".join(str(error).split())
    if not isinstance(error, MemoryError) and not any(w in said for w in NO_MEMORY):
        return ""
    said = said.rpartition("DefaultCPUAllocator: ")[2][:120] or "none left"
    return f"out of memory ({said}): draw or measure fewer at a time"


DISK = {
    errno.ENOSPC: "free some space", errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)", errno.EIO: "look at the disk",
    errno.EROFS: "set GENLAB_OUTPUTS to a folder that can be written",
    errno.EACCES: "set GENLAB_OUTPUTS to a folder that can be written",
    errno.EISDIR: "remove it", errno.ENOTDIR: "remove the file in its way",
    errno.EEXIST: "remove it", errno.ENAMETOOLONG: "give a shorter name",
}  # fmt: skip


NAMES = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)  # of which name, not room


def of_the_disk(error: BaseException) -> str:
    """One line on an error of the file system: what, where, remedy; empty if it is none."""
    if not isinstance(error, OSError) or error.errno not in DISK:
        return ""
    where = f"{error.filename or 'a file of the run'!s:.300}"
    later = "" if error.errno in NAMES else ", then go on with resume=RUN"
    return f"{error.strerror}: {where}; {DISK[error.errno]}{later}"
