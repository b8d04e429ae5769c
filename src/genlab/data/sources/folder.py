"""A folder of image files, of any size, or a zip or tar of one.

Read: `ImageFolder`; which files it has, of which class and split, is listing.py's. What is let in
of a stranger's file is `decode.opened`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from genlab.data.origins import Origins
from genlab.data.pictures import Files, Pictures
from genlab.data.sources.images import ImageSource
from genlab.data.sources.listing import FileFolder

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class ImageFolder(ImageSource):
    """The images in a folder (or a zip or tar of one): root/CLASS/*.png, or without classes.

    Folders root/train and root/val (or valid, test), where there are both, are the splits; else
    val is a share of the files, the classes in proportion, the same in every run.
    """

    def __init__(
        self, *, root: str | None, val_fraction: float = 0.1, group: str | None = None
    ) -> None:
        """`group`: a column of the metadata whose equal values stay on one side of the split."""
        self.files = FileFolder(
            root, endings=ENDINGS, noun="images", val_fraction=val_fraction, group=group
        )

    def origins(self, ids: Sequence[int]) -> Origins:
        return self.files.origins(ids, self.origin)

    def read(self, shape: Sequence[int] | None) -> dict[str, Pictures]:
        if shape is None or shape[0] not in (1, 3):
            raise ValueError(
                f"data.shape={'null' if shape is None else list(shape)}: image files become"
                " data.shape=[1,HEIGHT,WIDTH] (grey) or [3,HEIGHT,WIDTH] (colour)"
            )
        found, root = self.files.splits(), self.files.folder()
        self.class_names, self.skipped = self.files.class_names, self.files.skipped
        return {
            name: Files(f.paths, torch.tensor(f.labels), shape=tuple(shape), root=root)
            for name, f in found.items()
        }
