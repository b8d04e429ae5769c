"""A folder of image files, of any size, as a data set.

Read: `listed` (which files, of which classes), `opened` (what of a stranger's file is let in),
`ImageFolder`. With `num_workers` 0 every image is decoded once, into memory; with more, so many
processes decode them as they are needed, over the same order of examples.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import LongTensor, Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from genlab.batch import Batch
from genlab.data import archives
from genlab.data.base import EVERYTHING, Examples, _place, check, sha256
from genlab.data.files import cache
from genlab.data.images import Form, ImageExamples, Images, flip_some, served, spread
from genlab.rng import seed_of

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # no other decoder of Pillow's dozens is let near a file
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
PATIENCE, POLL = 100, 2  # seconds that a worker may take for a batch, and between two looks at it
PIXELS, LARGE = 45_000_000, 4_000_000  # refused from; decoded one at a time from (memory)
VAL_NAMES = ("val", "valid", "validation", "test")

_one_large = threading.Lock()


def listed(root: Path) -> tuple[list[Path], list[int], list[str] | None]:
    """The image files under a folder, their labels, and the names of the classes.

    The classes are the folders in it, by name; None if the files lie in the folder itself.
    """
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    by_class = {p.name: _images_in(p.rglob("*")) for p in folders}
    by_class = {name: files for name, files in by_class.items() if files}
    flat = _images_in(root.iterdir())
    if flat and by_class:
        raise ValueError(
            f"data.root={root} has images both in itself and in the folder {next(iter(by_class))}:"
            " put every image into its class's folder, or all of them side by side"
        )
    if flat:
        return flat, [0] * len(flat), None
    labels = [c for c, files in enumerate(by_class.values()) for _ in files]
    return [p for files in by_class.values() for p in files], labels, list(by_class) or None


def _unpacked(root: Path) -> Path:
    """The folder itself; of an archive, where it is unpacked in the cache."""
    if not archives.is_archive(root):
        return root
    from filelock import FileLock

    with root.open("rb") as f:
        target = cache() / "unpacked" / hashlib.file_digest(f, "sha256").hexdigest()[:32]
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):  # of several processes one unpacks
        if not target.is_dir():
            archives.unpack(root, target)
    return target


def _images_in(paths: Iterator[Path]) -> list[Path]:
    return sorted(
        p
        for p in paths
        if p.suffix.lower() in ENDINGS and not p.name.startswith(".") and p.is_file()
    )


def mixed(root: Path, paths: list[Path], labels: list[int]) -> tuple[list[Path], list[int]]:
    """The files in an order by hashes of their names, the classes in proportion throughout."""
    keys = [seed_of("file", p.relative_to(root).as_posix()) for p in paths]
    order = spread(torch.tensor(labels), keys).tolist()
    return [paths[i] for i in order], [labels[i] for i in order]


def opened(path: Path, shape: tuple[int, int, int], *, check_only: bool = False) -> np.ndarray:
    """An image file as [C, H, W] uint8: its orientation applied, on white where it is transparent.

    The shorter side is scaled to fit (Lanczos) and what is left of the longer cut off evenly.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, over {PIXELS:,}")
            if check_only:
                return np.empty(0, np.uint8)  # opening has read the header, and its size
            large = image.width * image.height > LARGE
            with _one_large if large else contextlib.nullcontext():
                return _decoded(image, shape)
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        reason = str(error).splitlines()[0].replace(str(path), "it") if str(error) else error
        allowed = ", ".join(FORMATS)
        raise ValueError(
            f"data.root: {path} is no image that can be read ({reason}); allowed are {allowed}:"
            " mend it or take it out of the folder"
        ) from None


def _decoded(image: Any, shape: tuple[int, int, int]) -> np.ndarray:
    from PIL import Image, ImageOps

    c, h, w = shape
    ImageOps.exif_transpose(image, in_place=True)  # as below: no copy of a large one but where due
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode.startswith(("I", "F")):  # 16 bits: convert() would cut, not scale
        image = Image.fromarray((np.asarray(image, np.float32) / 257).astype(np.uint8))
    mode = "L" if c == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    image = ImageOps.fit(image, (w, h), method=Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(h, w, c).transpose(2, 0, 1)


class FileExamples(Examples):
    """Image files, decoded when they are asked for; else as ImageExamples."""

    def __init__(
        self,
        paths: list[Path],
        labels: Tensor | None,
        *,
        shape: tuple[int, int, int],
        levels: int,
        form: Form,
        flip: bool,
    ) -> None:
        self.paths, self.labels, self.shape = paths, labels, shape
        self.levels, self.form, self.augments = levels, form, flip
        self.at: Tensor | None = None  # [1], shared: the example that this process is reading

    def __len__(self) -> int:
        return len(self.paths)

    def opened(self, i: int) -> np.ndarray:
        if self.at is not None:
            self.at[0] = i
        return opened(self.paths[i], self.shape)

    def batch(
        self,
        ids: LongTensor,
        generator: torch.Generator | None = None,
        share: slice = EVERYTHING,
    ) -> Batch:
        wanted = ids[share]
        images = torch.from_numpy(np.stack([self.opened(i) for i in wanted.tolist()]))
        if self.augments and generator is not None:
            images = flip_some(images, generator, share, len(ids))
        batch = Batch(x=served(images, self.levels, self.form))
        if self.labels is not None:
            batch["cond"] = self.labels[wanted]
        return batch


class ImageFolder(Images):
    """The images in a folder (or a zip or tar of one): root/CLASS/*.png, or without classes.

    Folders root/train and root/val (or valid, test), where there are both, are the splits; else
    val is a share of the files, the classes in proportion, the same in every run.
    """

    def __init__(
        self,
        *,
        root: str | None,
        shape: Sequence[int],
        num_classes: int | None,
        levels: int,
        batch_size: int,
        seed: int,
        vocab: int | None = None,
        val_fraction: float = 0.1,
        num_workers: int = 0,
        flip: bool = False,
        limit: int | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`shape` [C, H, W]: what images are made; `num_workers`: decode on demand in so many."""
        super().__init__(
            shape=shape,
            num_classes=num_classes,
            levels=levels,
            batch_size=batch_size,
            seed=seed,
            vocab=vocab,
            flip=flip,
            limit=limit,
            val_examples=val_examples,
        )
        if len(self.shape) != 3 or self.shape[0] not in (1, 3) or min(self.shape) < 1:
            raise ValueError(
                f"data.shape={list(self.shape)}: write [1,HEIGHT,WIDTH] or [3,HEIGHT,WIDTH]"
            )
        if levels != 256:
            raise ValueError(f"data.levels={levels}: image files have 256; write data.levels=256")
        if not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction={val_fraction}: write a number between 0 and 1")
        if num_workers < 0:
            raise ValueError(f"data.num_workers={num_workers}: write a whole number from 0 on")
        self.root, self.val_fraction, self.num_workers = root, val_fraction, num_workers

    def files(self) -> tuple[tuple[list[Path], list[int]], tuple[list[Path], list[int]]]:
        """(paths, labels) of train and of val; sets the classes' names."""
        if self.root is None:
            raise ValueError("data.root=null: which folder? write data.root=FOLDER")
        root = _unpacked(Path(self.root).expanduser())
        if not root.is_dir():
            raise FileNotFoundError(f"data.root={self.root}: there is no such folder")
        held_out = next((root / n for n in VAL_NAMES if (root / n).is_dir()), None)
        if held_out is not None and (root / "train").is_dir():
            paths, labels, names = listed(root / "train")
            val_paths, val_labels, val_names = listed(held_out)
            if val_names != names:
                raise ValueError(
                    f"data.root={self.root}: train has the classes {names}, {held_out.name}"
                    f" {val_names}: give both the same folders"
                )
            self._refuse_few(paths, val_paths)
            train, val = mixed(root, paths, labels), mixed(root, val_paths, val_labels)
        else:
            paths, labels, names = listed(root)
            num = max(1, round(len(paths) * self.val_fraction))
            self._refuse_few(paths[num:], paths)
            paths, labels = mixed(root, paths, labels)
            train, val = (paths[num:], labels[num:]), (paths[:num], labels[:num])
        self.class_names = names
        return train, val

    def _refuse_few(self, train: list[Path], val: list[Path]) -> None:
        if not train or not val:
            raise ValueError(
                f"data.root={self.root} has {'too few' if train or val else 'no'} images:"
                f" files ending in {', '.join(ENDINGS)} are looked for, in it and in its folders"
            )

    def read(self) -> tuple[Examples, Examples]:
        (train, labels), (val, val_labels) = self.files()
        train, labels = train[: self.limit], labels[: self.limit]
        if self.num_classes is not None:
            found = len(self.class_names) if self.class_names else None
            check("num_classes", self.num_classes, found, f"the folder {self.root}")
        self._check_memory(len(train) + len(val))
        return self._examples(train, labels, self.flip), self._examples(val, val_labels, False)

    def _examples(self, paths: list[Path], labels: list[int], flip: bool) -> Examples:
        served_as = {"levels": self.levels, "form": self.form, "flip": flip}
        wanted = self.wanted(torch.tensor(labels))
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # decoders free the lock
            if self.num_workers:
                for _ in pool.map(lambda p: opened(p, self.shape, check_only=True), paths):
                    pass
                return FileExamples(paths, wanted, shape=self.shape, **served_as)
            images = torch.empty((len(paths), *self.shape), dtype=torch.uint8)
            rows = images.numpy()
            for i, image in enumerate(pool.map(lambda p: opened(p, self.shape), paths)):
                rows[i] = image
        return ImageExamples(images, wanted, **served_as)

    def _check_memory(self, num: int) -> None:
        try:
            memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):  # not on this system
            return
        needed = num * int(np.prod(self.shape))
        if not self.num_workers and needed > memory / 2:
            raise ValueError(
                f"data.num_workers=0 would hold {needed / 1e9:.0f} GB of images in memory, over"
                " half of it: write data.num_workers=8 to decode them on demand"
            )

    def digest(self) -> str:
        if not self.num_workers:
            return super().digest()
        # reading every file again would take as long as an epoch: names and sizes stand for them
        root = _unpacked(Path(self.root).expanduser())
        paths = [*self.train.paths, *self.val.paths]
        return sha256(*(f"{p.relative_to(root).as_posix()} {p.stat().st_size}" for p in paths))

    def train_dataloader(self) -> Any:
        return DecodedBatches(self) if self.num_workers else super().train_dataloader()


class WorkerFault(RuntimeError):
    """A process that decodes images died or hangs."""

    exit_code = 1


class DecodedBatches:
    """As TrainBatches, the batches made ahead in worker processes."""

    def __init__(self, data: ImageFolder) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Batch]:
        workers = self.data.num_workers
        # where each worker is, in memory that outlives it: to name the file it died on
        at = torch.full((workers, 1), -1).share_memory_()
        loader = DataLoader(
            _Decoding(self.data, *_place(self.data), at),
            batch_size=None,  # what a worker gives is a batch already
            num_workers=workers,
            prefetch_factor=2,
            timeout=POLL,
            pin_memory=torch.cuda.is_available(),
        )
        with _no_surprise():
            batches = iter(loader)
        for k in itertools.count():
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    batch = next(batches)
                    break
                except RuntimeError as error:  # nothing came, or the worker is dead
                    dead = [i for i, w in enumerate(batches._workers) if not w.is_alive()]
                    if dead or time.monotonic() > deadline:
                        for worker in batches._workers:  # torch would wait 5 s for one that hangs
                            worker.kill()
                        raise self._fault(at, dead, k % workers, str(error)) from error
            if isinstance(batch, str):  # a worker's own exception would come as a page of text
                raise ValueError(batch)
            yield batch

    def _fault(self, at: Tensor, dead: list[int], awaited: int, reason: str) -> WorkerFault:
        worker = dead[0] if dead else awaited
        i = int(at[worker])
        on = f"on example {i}, {self.data.train.paths[i]}" if i >= 0 else "before its first example"
        what = "died" if dead else f"gave nothing for {PATIENCE} s"
        return WorkerFault(
            f"data.num_workers: worker {worker} {what} {on} ({reason.splitlines()[0][:160]});"
            " look at that file, at free memory (/dev/shm too), or set data.num_workers=0"
        )


@contextlib.contextmanager
def _no_surprise() -> Iterator[None]:
    """Within, torch may start workers, but not have their death raised in whatever runs then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)


class _Decoding(IterableDataset):
    """The batches from number `first` on: of n workers each makes every n-th.

    They are taken from the workers in turn, so the order is that of `train_batch`.
    """

    def __init__(
        self, data: ImageFolder, rank: int, world: int, accumulate: int, first: int, at: Tensor
    ) -> None:
        self.data, self.at = copy.copy(data), at
        self.data.trainer = None  # a worker needs no model, and could not be sent one
        self.rank, self.world, self.accumulate, self.first = rank, world, accumulate, first

    def __iter__(self) -> Iterator[Batch | str]:
        worker = get_worker_info()
        self.data.train.at = self.at[worker.id]  # this process's copy of the examples
        place = {"rank": self.rank, "world": self.world, "accumulate": self.accumulate}
        at, step = worker.id, worker.num_workers
        while True:
            k, micro = divmod(at, self.accumulate)
            try:
                yield self.data.train_batch(self.first + k, micro=micro, **place)
            except ValueError as error:
                yield str(error)
            at += step
