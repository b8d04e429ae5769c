"""Finding files of known data sets, and fetching them where they are missing.

Looked for in this order: `data.root` (the folder itself, or the set's folder in it), the folder
$GENLAB_DATA/NAME, and ~/.cache/genlab/data/NAME ($GENLAB_CACHE/data/NAME), where downloads go. What
is read is checked against a sha256 in the code: a damaged or exchanged file is refused.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

DOWNLOADS = "GENLAB_DOWNLOADS"  # "no" in the environment: nothing is fetched


def cache() -> Path:
    """Where downloads go."""
    return Path(os.environ.get("GENLAB_CACHE") or "~/.cache/genlab").expanduser() / "data"


def places(name: str, root: str | Path | None) -> list[Path]:
    """The folders in which the set called `name` may lie, the first that counts first."""
    if root is not None:
        root = Path(root).expanduser()
        return [root, root / name]
    shared = os.environ.get("GENLAB_DATA")
    return [*([Path(shared).expanduser() / name] if shared else []), cache() / name]


def find(file: str, *, name: str, root: str | Path | None) -> Path | None:
    """The path of a file of a set; None where it is in no place."""
    return next((p / file for p in places(name, root) if (p / file).is_file()), None)


def missing(file: str, *, name: str, root: str | Path | None, why: str = "") -> FileNotFoundError:
    """What to say of a file that is in no place."""
    where = " or ".join(str(p) for p in places(name, root))
    return FileNotFoundError(
        f"data.root={root or 'null'}: there is no {file} in {where}{why};"
        " put it there, or write data.root=FOLDER"
    )


def require(file: str, *, name: str, root: str | Path | None) -> Path:
    """The path of a file that `fetch` has seen to."""
    path = find(file, name=name, root=root)
    if path is None:
        raise missing(file, name=name, root=root)
    return path


def fetch(
    file: str, urls: Sequence[str], *, name: str, root: str | Path | None, sha256: str, size: int
) -> Path:
    """The path of a file, downloaded into the cache if it is in no place.

    `sha256` and `size` (bytes) are those of the contents, unpacked if the name ends in -ubyte.gz:
    the same contents are packed differently by different mirrors. A named root is never written to.
    """
    path = find(file, name=name, root=root)
    if path is not None:
        return path
    if root is not None:
        raise missing(file, name=name, root=root)
    if os.environ.get(DOWNLOADS) == "no":
        why = "; a run's folder starts no download: get it by `genlab train` with its data,"
        raise missing(file, name=name, root=root, why=f"{why} once")
    from filelock import FileLock

    target = cache() / name / file
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):  # of several processes one downloads
        if target.is_file():
            return target
        reasons = []
        for url in urls:
            try:
                download(url, target, sha256=sha256, size=size)
                return target
            except (OSError, ValueError) as error:
                reasons.append(f"{url}: {error}")
    raise missing(file, name=name, root=root, why=f" and no download ({'; '.join(reasons)})")


@contextlib.contextmanager
def no_downloads() -> Iterator[None]:
    """Within, and in processes started within: what is in no place is missing, and not fetched."""
    before = os.environ.get(DOWNLOADS)
    os.environ[DOWNLOADS] = "no"
    try:
        yield
    finally:
        if before is None:
            del os.environ[DOWNLOADS]
        else:
            os.environ[DOWNLOADS] = before


def download(url: str, target: Path, *, sha256: str, size: int, timeout: float = 30) -> None:
    """Fetch, check, and only then give the file its name."""
    import urllib.request

    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as out, urllib.request.urlopen(url, timeout=timeout) as page:
            got = 0
            while block := page.read(1 << 20):
                got += len(block)
                if got > size + (1 << 20):  # packed or not, it is no longer than its contents
                    raise ValueError(f"more than the {size} bytes expected")
                out.write(block)
        read(Path(temporary), sha256=sha256, size=size, packed=is_packed(target))
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def is_packed(path: Path) -> bool:
    return path.name.endswith("-ubyte.gz")


def read(path: Path, *, sha256: str, size: int, packed: bool | None = None) -> bytes:
    """The contents of a file (unpacked, never more than `size` bytes), checked against its hash."""
    packed = is_packed(path) if packed is None else packed
    try:
        with gzip.open(path) if packed else path.open("rb") as f:
            contents = f.read(size + 1)
    except (EOFError, gzip.BadGzipFile, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run again") from None
    except OSError as error:
        raise FileNotFoundError(f"{path} cannot be read: {error.strerror or error}") from None
    got = hashlib.sha256(contents).hexdigest()
    if got != sha256:
        raise ValueError(
            f"{path} is damaged or another file (sha256 {got[:12]}..., expected {sha256[:12]}...):"
            " delete it and run again"
        )
    return contents
