"""Images that come as whole sets: digits, MNIST, Fashion-MNIST, CIFAR-10.

Read: `ImageSource` is what images.py asks for; then a class a set, which says where its files are.
Sets with an official test split keep it for `genlab evaluate split=test`; val is the end of train.
"""

from __future__ import annotations

import io
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.data import files
from genlab.data.origins import Origin, Traced
from genlab.data.pictures import Arrays, Pictures
from genlab.rng import seed_of


class ImageSource(Traced, ABC):
    """Where images come from."""

    class_names: Sequence[str] | None = None
    levels: int = 256  # grey levels a value
    skipped: Sequence[str] = ()  # files that were found and are no part of the data

    def prepare(self) -> None:
        """Download what is missing; any number of processes may call it."""

    @abstractmethod
    def read(self, shape: Sequence[int] | None) -> dict[str, Pictures]:
        """The splits train, val and, only where the set has an official one, test.

        `shape` [C, H, W] is what images of any size are made; sets of one size ignore it.
        """

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return type(self).__name__


class Digits(ImageSource):
    """1,797 handwritten digits, 8x8, 17 grey levels, in scikit-learn's wheel (UCI optdigits, test).

    The set has no split of its own: here train is 1,437 and val 360, the classes spread evenly, the
    same in every run whatever its seed.
    """

    class_names: ClassVar = [str(i) for i in range(10)]
    levels: ClassVar = 17
    # as UCI's page of the set says
    origin: ClassVar = Origin("CC-BY-4.0", "https://archive.ics.uci.edu/dataset/80")

    def read(self, shape: Sequence[int] | None = None) -> dict[str, Pictures]:
        table = torch.from_numpy(_digits())
        images, labels = table[:, :64].view(-1, 1, 8, 8).to(torch.uint8), table[:, 64].long()
        order = spread(labels, [seed_of("order", i) for i in range(len(labels))])
        train, val = order[:1437], order[1437:]
        return {
            "train": Arrays(images[train], labels[train]),
            "val": Arrays(images[val], labels[val]),
        }


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


class MNIST(ImageSource):
    """MNIST: 60,000 + 10,000 handwritten digits, 28x28 (LeCun et al. 1998).

    val is the last 10,000 of the 60,000; test the official test set.
    """

    folder: ClassVar = "mnist"
    # as Keras and others quote its authors; their own page states none
    origin: ClassVar = Origin("CC-BY-SA-3.0", "http://yann.lecun.com/exdb/mnist/")
    held_out: ClassVar = 10_000  # of the end of train: val
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

    def __init__(self, *, root: str | None = None) -> None:
        """`root`: the folder of the files, null looks and downloads (see files.py)."""
        self.root = root

    def prepare(self) -> None:
        for file, (size, digest) in self.contents.items():
            urls = [url + file for url in self.urls]
            files.fetch(file, urls, name=self.folder, root=self.root, sha256=digest, size=size)

    def read(self, shape: Sequence[int] | None = None) -> dict[str, Pictures]:
        images, labels, test_images, test_labels = self.arrays()
        cut = len(images) - self.held_out
        return {
            "train": Arrays(images[:cut], labels[:cut]),
            "val": Arrays(images[cut:], labels[cut:]),
            "test": Arrays(test_images, test_labels),
        }

    def arrays(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(images, labels, test images, test labels), images [N, C, H, W] uint8."""
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
    """Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28x28 (Xiao 2017, arXiv:1708.07747).

    val is the last 10,000 of the 60,000; test the official test set.
    """

    folder: ClassVar = "fashion-mnist"
    origin: ClassVar = Origin("MIT", "https://github.com/zalandoresearch/fashion-mnist")  # LICENSE
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
    """CIFAR-10: 50,000 + 10,000 colour photographs, 32x32 (Krizhevsky 2009).

    val is the last 5,000 of the 50,000; test the official test set.

    Read from the archive of plain bytes, not from the one of pickles, which could run code.
    """

    folder: ClassVar = "cifar10"
    # its authors state no licence; the pictures are others', found by search engines
    origin: ClassVar = Origin(source="https://www.cs.toronto.edu/~kriz/cifar.html")
    held_out: ClassVar = 5_000
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
