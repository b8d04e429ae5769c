"""Images that come as whole sets: digits, MNIST, Fashion-MNIST, CIFAR-10.

Read: `Images` (what they share: grey levels to [-1, 1] or to tokens, flips, checks), then a class
a set that says where its files are. Pixels stay uint8 in memory; a batch is a gather and a scaling.
"""

from __future__ import annotations

import io
import math
import tarfile
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch
from genlab.data import files
from genlab.data.base import EVERYTHING, DataModule, Examples, check, sha256
from genlab.rng import seed_of
from genlab.views.grid import Grid

Form = Literal["image", "pixels"]


def flip_some(images: Tensor, generator: torch.Generator, share: slice, num: int) -> Tensor:
    """Each image [B, C, H, W] mirrored left to right with probability 1/2.

    The images are the share of `num`, for all of which is drawn.
    """
    mirrored = (torch.rand(num, generator=generator) < 0.5)[share]
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def served(images: Tensor, levels: int, form: Form) -> Tensor:
    """Grey levels [B, C, H, W] uint8 as a model sees them.

    "image": floats from -1 to 1, both reached exactly; "pixels": tokens [B, C*H*W].
    """
    if form == "pixels":
        return images.flatten(1).long()
    return images.float().div_((levels - 1) / 2).sub_(1)


class ImageExamples(Examples):
    """Images [N, C, H, W] uint8 and, unless they go without, labels [N] int64."""

    def __init__(
        self, images: Tensor, labels: Tensor | None, *, levels: int, form: Form, flip: bool
    ) -> None:
        self.images, self.labels = images, labels
        self.levels, self.form, self.augments = levels, form, flip

    def __len__(self) -> int:
        return len(self.images)

    def batch(
        self,
        ids: LongTensor,
        generator: torch.Generator | None = None,
        share: slice = EVERYTHING,
    ) -> Batch:
        wanted = ids[share]
        images = self.images.index_select(0, wanted)
        if self.augments and generator is not None:
            images = flip_some(images, generator, share, len(ids))
        batch = Batch(x=served(images, self.levels, self.form))
        if self.labels is not None:
            batch["cond"] = self.labels[wanted]
        return batch


class Images(DataModule):
    """Labelled images: what the sets and a folder of one's own share."""

    kind = "image"
    view = Grid()

    def __init__(
        self,
        *,
        shape: Sequence[int],
        num_classes: int | None,
        levels: int,
        batch_size: int,
        seed: int,
        vocab: int | None = None,
        form: Form = "image",
        flip: bool = False,
        limit: int | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`form` pixels serves tokens; `flip` mirrors half of train; `limit` keeps its first N.

        `num_classes` null serves the images without their labels.
        """
        if form not in ("image", "pixels"):
            raise ValueError(f"data.form={form!r}: allowed are image, pixels")
        if levels is None or not 2 <= levels <= 256:
            raise ValueError(f"data.levels={levels}: an image has from 2 to 256 grey levels")
        expected = levels if form == "pixels" else None
        if vocab != expected:
            raise ValueError(
                f"data.vocab={vocab} does not fit data.form={form}: write data.vocab="
                f"{'null' if expected is None else expected}"
            )
        if limit is not None and limit < 1:
            raise ValueError(f"data.limit={limit}: write a whole number from 1 on, or null for all")
        super().__init__(
            shape=shape,
            batch_size=batch_size,
            seed=seed,
            num_classes=num_classes,
            vocab=vocab,
            levels=levels,
            val_examples=val_examples,
        )
        self.form, self.flip, self.limit = form, flip, limit
        self._image_shape = self.shape if form == "image" else None

    def wanted(self, labels: Tensor) -> Tensor | None:
        """The labels as they are served."""
        return labels.long() if self.num_classes is not None else None

    def digest(self) -> str:
        parts = []
        for split in (self.train, self.val):
            parts += [split.images, split.labels if split.labels is not None else b"no labels"]
        return sha256(*parts)

    def state(self) -> dict:
        names = list(self.class_names) if self.class_names is not None else None
        return {"image_shape": list(self._image_shape or ()), "class_names": names}

    def load_state(self, state: dict) -> None:
        self._image_shape = tuple(state["image_shape"]) or self._image_shape
        self.class_names = state["class_names"]

    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]:
        """bits_per_dim too, where levels have a probability."""
        units = super().units(totals, discrete=discrete)
        if discrete:
            units["bits_per_dim"] = -totals.log_prob / totals.values / math.log(2)
        return units

    def decode(self, x: Tensor) -> list[np.ndarray]:
        """x [B, C, H, W] in [-1, 1], or tokens [B, C*H*W], as B arrays [H, W, C] uint8."""
        x = x.detach().cpu()
        if self.form == "pixels":
            if self._image_shape is None:
                raise ValueError("decoding pixels needs the images' shape: load() the data first")
            x = x.view(-1, *self._image_shape).float() / ((self.levels - 1) / 2) - 1
        grey = (x.float() + 1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return list(grey.permute(0, 2, 3, 1).contiguous().numpy())


class ImageSet(Images):
    """A known set, all of whose images have one shape."""

    @abstractmethod
    def arrays(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(train images, train labels, val images, val labels), images [N, C, H, W] uint8."""

    def read(self) -> tuple[ImageExamples, ImageExamples]:
        images, labels, val_images, val_labels = self.arrays()
        name, n = type(self).__name__, self.limit
        c, h, w = self._image_shape = tuple(images.shape[1:])
        check("shape", self.shape, (c, h, w) if self.form == "image" else (c * h * w,), name)
        if self.num_classes is not None:
            check("num_classes", self.num_classes, len(self.class_names or ()), name)
        make = {"levels": self.levels, "form": self.form}
        return (
            ImageExamples(images[:n], self.wanted(labels[:n]), flip=self.flip, **make),
            ImageExamples(val_images, self.wanted(val_labels), flip=False, **make),
        )


class Digits(ImageSet):
    """1,797 handwritten digits, 8x8, 17 grey levels, in scikit-learn's wheel (UCI optdigits, test).

    The set has no split of its own: here train is 1,437 and val 360, the classes spread evenly, the
    same in every run whatever its seed.
    """

    class_names: ClassVar = [str(i) for i in range(10)]

    def arrays(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        table = torch.from_numpy(_digits())
        images, labels = table[:, :64].view(-1, 1, 8, 8).to(torch.uint8), table[:, 64].long()
        check("levels", self.levels, 17, "Digits")
        order = spread(labels, [seed_of("order", i) for i in range(len(labels))])
        train, val = order[:1437], order[1437:]
        return images[train], labels[train], images[val], labels[val]


def _digits() -> np.ndarray:
    """The table [1797, 65]: 64 values and the digit; without scikit-learn's slow import."""
    import gzip
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("sklearn")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            with gzip.open(path) as f:
                values = np.fromstring(f.read().replace(b"\n", b","), dtype=np.int64, sep=",")
            return values.reshape(-1, 65)
    from sklearn.datasets import load_digits

    data, target = load_digits(return_X_y=True)
    return np.concatenate([data, target[:, None]], 1).astype(np.int64)


def spread(labels: Tensor, keys: list[int]) -> LongTensor:
    """An order in which every stretch has the classes in proportion; by `keys` within a class."""
    at = torch.empty(len(labels), dtype=torch.float64)
    for c in labels.unique().tolist():
        members = (labels == c).nonzero()[:, 0].tolist()
        members.sort(key=lambda i: keys[i])
        at[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return at.argsort(stable=True)


class MNIST(ImageSet):
    """MNIST: 60,000 + 10,000 handwritten digits, 28x28 (LeCun et al. 1998); val is its test set."""

    folder: ClassVar = "mnist"
    class_names: ClassVar = [str(i) for i in range(10)]
    urls: ClassVar = ("https://ossci-datasets.s3.amazonaws.com/mnist/",)
    # the unpacked files: (bytes, sha256)
    contents: ClassVar = {
        "train-images-idx3-ubyte.gz": (
            47040016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        "train-labels-idx1-ubyte.gz": (
            60008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        "t10k-images-idx3-ubyte.gz": (
            7840016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        "t10k-labels-idx1-ubyte.gz": (
            10008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    }

    def __init__(
        self,
        *,
        shape: Sequence[int],
        num_classes: int | None,
        levels: int,
        batch_size: int,
        seed: int,
        vocab: int | None = None,
        root: str | None = None,
        form: Form = "image",
        flip: bool = False,
        limit: int | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """As `Images`; `root`: the folder of the files, null looks and downloads (see files.py)."""
        super().__init__(
            shape=shape,
            num_classes=num_classes,
            levels=levels,
            batch_size=batch_size,
            seed=seed,
            vocab=vocab,
            form=form,
            flip=flip,
            limit=limit,
            val_examples=val_examples,
        )
        self.root = root

    def prepare(self) -> None:
        for file, (size, digest) in self.contents.items():
            urls = [url + file for url in self.urls]
            files.fetch(file, urls, name=self.folder, root=self.root, sha256=digest, size=size)

    def arrays(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        check("levels", self.levels, 256, type(self).__name__)
        train_images, train_labels, images, labels = (
            read_idx(
                files.read(
                    files.require(file, name=self.folder, root=self.root), sha256=digest, size=size
                )
            )
            for file, (size, digest) in self.contents.items()
        )
        return train_images[:, None], train_labels, images[:, None], labels


def read_idx(contents: bytes) -> Tensor:
    """A file in the IDX format, of unsigned bytes: 0, 0, 8, dimensions, their sizes, the values."""
    if contents[:3] != b"\x00\x00\x08":
        raise ValueError("not an IDX file of unsigned bytes")
    dimensions = contents[3]
    shape = np.frombuffer(contents, ">i4", dimensions, offset=4).astype(int).tolist()
    values = np.frombuffer(contents, np.uint8, offset=4 + 4 * dimensions)
    return torch.from_numpy(values.reshape(shape).copy())


class FashionMNIST(MNIST):
    """Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28x28 (Xiao 2017, arXiv:1708.07747)."""

    folder: ClassVar = "fashion-mnist"
    class_names: ClassVar = [
        "T-shirt", "trouser", "pullover", "dress", "coat",
        "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ]  # fmt: skip
    urls: ClassVar = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    contents: ClassVar = {
        "train-images-idx3-ubyte.gz": (
            47040016,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        "train-labels-idx1-ubyte.gz": (
            60008,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        "t10k-images-idx3-ubyte.gz": (
            7840016,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        "t10k-labels-idx1-ubyte.gz": (
            10008,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    }


class CIFAR10(MNIST):
    """CIFAR-10: 50,000 + 10,000 colour photographs, 32x32 (Krizhevsky 2009); val is its test set.

    Read from the archive of plain bytes, not from the one of pickles, which could run code.
    """

    folder: ClassVar = "cifar10"
    class_names: ClassVar = [
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ]  # fmt: skip
    urls: ClassVar = ("https://www.cs.toronto.edu/~kriz/",)
    contents: ClassVar = {
        "cifar-10-binary.tar.gz": (
            170052171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    }

    def arrays(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        check("levels", self.levels, 256, type(self).__name__)
        ((file, (size, digest)),) = self.contents.items()
        path = files.require(file, name=self.folder, root=self.root)
        splits: dict[str, list[tuple[int, np.ndarray]]] = {"data": [], "test": []}
        archive = io.BytesIO(files.read(path, sha256=digest, size=size))
        with tarfile.open(fileobj=archive, mode="r|gz") as tar:
            for member in tar:
                base = member.name.rsplit("/", 1)[-1]
                if base.endswith(".bin") and base[:4] in splits:
                    values = np.frombuffer(tar.extractfile(member).read(), np.uint8)
                    splits[base[:4]].append((base, values.reshape(-1, 1 + 3 * 32 * 32)))
        found = []
        for parts in splits.values():
            table = torch.from_numpy(np.concatenate([values for _, values in sorted(parts)]))
            found += [table[:, 1:].reshape(-1, 3, 32, 32).contiguous(), table[:, 0]]
        return found[0], found[1], found[2], found[3]
