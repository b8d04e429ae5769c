"""DEBD: binary tables that density estimators are compared on, with their own splits.

Read: `DEBD.cells`; a column is a category of "0" and "1", called x0, x1, ... The sets are those of
Lowd & Davis 2010, Van Haaren & Davis 2012, Bekker et al. 2015 and Larochelle & Murray 2011, as they
lie in https://github.com/arranger1044/DEBD.
"""

from __future__ import annotations

from typing import ClassVar

from genlab.data import files
from genlab.data.columns import Kind
from genlab.data.origins import Origin
from genlab.data.sources.tables import Cells, Rows, TableSource

COMMIT = "850908666388f1b1c766a304b37dae14613f1e51"
URL = f"https://raw.githubusercontent.com/arranger1044/DEBD/{COMMIT}/datasets"
SPLITS = ("train", "valid", "test")


class DEBD(TableSource):
    """One set: rows of zeros and ones, from the files NAME.train.data, .valid.data, .test.data."""

    folder: ClassVar = "debd"
    origin: ClassVar = Origin(source="https://github.com/arranger1044/DEBD")  # no licence stated
    contents: ClassVar = {  # (bytes, sha256) of train, valid, test
        "accidents": (
            (2832276, "a76648cf00772c275b4277b21d858e235e3c6d3c5ef30beeb4958189b6bed21c"),
            (377400, "fd3a80a0f411f157cf3772a057d26980bb166cb89b10cafb818a53f1ec30d46d"),
            (566322, "df3f1b6c035bf3e306a7d7127320e479d2546ce14a5d6d3043e6be0925b8b414"),
        ),
        "baudio": (
            (3000000, "b1ec73f4aa9d4ce48b465ded865cc3d22b3f68cf6258f9e15fbef8902138add1"),
            (400000, "7164d8a4943f74953f0e982002d84693fdf483e17f69e7407dc939c5ce5622fe"),
            (600000, "1474f3206f1f35e099803a0f40b0cd209bdc8d787825095ef6cb23fd87ed0d05"),
        ),
        "bbc": (
            (3533720, "a6f0ba467ebf502ba3b37caa1f20e43ff82664dcd580be92010106cf80fb0db1"),
            (476100, "f6a37bd58cdb6745725628be19dfd3b9b795082faa8ca771b8f27dbf4a5ff46d"),
            (698280, "7116fce92a1f3d610cee673a974c8c9895957ee07ce6f086b431ee296aa7734a"),
        ),
        "bnetflix": (
            (3000000, "73c87cf0635ec734cc0726a5c644b904ff33e81ea51f1049db0e77b787ebad7c"),
            (400000, "7f0a3e597c6f305f707f9ecd2b2aa523c576cdb17fdc5d902fc832ebea5163de"),
            (600000, "af73990782fd2f146d96059855c4f3bbb6a7a7caefc417ff620a3ed1415a2395"),
        ),
        "dna": (
            (576000, "bb8de0ca4b6ad9b610036b7a302962ebecd4b504354b14c02c7d0bee48d207d9"),
            (144000, "4b0fc89cda5eaf5c75926e281afb6af99de194a546070d5b81b524ba251f4f3f"),
            (426960, "fec3ae7b26804020a9c43c99828441c5e08bb76b23719368a74ad2b09af99100"),
        ),
        "jester": (
            (1800000, "dd93578c3359d5b234bb278bf0901c5215d83b910f7d51d7c91951a0a4c244cd"),
            (200000, "91df833941e189265345898d3f63211560c2456df599f34beee8e95381ee7524"),
            (823200, "346044fb561cf18f284f7e9d5896178b03048991b6ebb6f7482885fccbc16082"),
        ),
        "moviereview": (
            (3203200, "195729f0d72e9707abb7a901b57193bd1b1c9108bb261202170eec6c7e5e2ed1"),
            (300300, "d887c7726485ca46026c3c9ab511174679cd1c96443c5410ab24fb81c8be38e3"),
            (500500, "9fea48ab7422d4a1c0b5d063311e6fd3104e59c11018276f7a9e909685a856d2"),
        ),
        "mushrooms": (
            (448000, "465c712c066bbbee3ccceded24bbe42b4c379df67b524e28cce9bf3a8b83f27b"),
            (112000, "5a067e6854df71623415e6adc8e913cbff766637a324788882ba800907aa5385"),
            (1259776, "313c5f04b5d0a18bee2f2ffa264be265d09f5362aad6f714637acd9552f81aa0"),
        ),
        "nips": (
            (400000, "4d744cb1f2c725405bff6ef6878df06eafbbc2a91f0510e0f3d8a508b05ec7bb"),
            (100000, "b06acd8e6a701d63d4e58b5076c11c59bcd0343fb9b1fbb5997459d3e6b8ca96"),
            (1240000, "48711bdaffbd43aa439679785e19d9cc80c64a157fa84eadc5dce60ee4edf7bc"),
        ),
        "nltcs": (
            (517792, "e547a7aedad1dd2f7177030881ab1b92c7e24ae5464c71a0f1f89daecaf52b30"),
            (69024, "93bbbf5c6febdc9bc6e5b5bfab636f4dc0685ab2896d24b23dd267794c3bfcf6"),
            (103552, "f9ffa6b74b27dc03bee3203d157ee31079e80b13be40d0c0093d635c25aed523"),
        ),
        "plants": (
            (2402856, "1fb1219ff94068d12a563f9e81f8889a1885f41e867884cff608669300c6848f"),
            (320298, "47834ed318b2d74f48e4b083226ef47fd446d41986012ceae19d230574821b34"),
            (480516, "95f53c033cd1d86467aec2610dc5bfe014534206c2da4919f73bcab246ab8755"),
        ),
        "pumsb_star": (
            (3997412, "27e610b5f9f507f94ebf8a227f8b96cc59d7eed51e06ee5d2fe8353afbc1524c"),
            (533010, "6a491d1ea64eb0249dddd168fdddeef88aa21001a933eb7309603b6466187af8"),
            (799352, "b2da195314ac17f9d8d171743c5f98a28ea9583332a52d34aa228ff2e11aa8e7"),
        ),
        "voting": (
            (3299652, "113c35bd468a0bb97772623634c1b729b76ba90674e62b68c38fe8d5ac08b341"),
            (543600, "391bad94351ac4565e2f6628c917607b6e82b82ebdc52d64dd8bfbebcdae12b7"),
            (951300, "c77c851edfc1fd5c275e961de3530ae406fc5c3446fa305959720273a5bbe9c8"),
        ),
    }

    def __init__(self, *, name: str, root: str | None = None) -> None:
        """`root`: the folder of the set's files, null looks, then downloads (see files.py)."""
        if name not in self.contents:
            raise ValueError(f"data.name={name}: allowed are {', '.join(self.contents)}")
        self.name, self.root = name, root

    def prepare(self) -> None:
        for file, size, digest in self._files():
            urls = [f"{URL}/{self.name}/{file}"]
            files.fetch(file, urls, name=self.folder, root=self.root, sha256=digest, size=size)

    def cells(self) -> Cells:
        train, val, test = (self._rows(*file) for file in self._files())
        names = [f"x{i}" for i in range(len(train[0]))]
        kinds: dict[str, Kind] = dict.fromkeys(names, "category")
        return Cells(names, train, test, name=f"DEBD {self.name}", val=val, kinds=kinds)

    def _files(self) -> list[tuple[str, int, str]]:
        """(file, bytes, sha256) of train, valid and test."""
        parts = zip(SPLITS, self.contents[self.name])
        return [(f"{self.name}.{split}.data", *of) for split, of in parts]

    def _rows(self, file: str, size: int, digest: str) -> Rows:
        path = files.require(file, name=self.folder, root=self.root)
        contents = files.read(path, sha256=digest, size=size, packed=False)
        return [line.split(",") for line in contents.decode("ascii").split()]
