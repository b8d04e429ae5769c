"""Whether a setting fits the argument that it is for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest

from genlab.runs.gate.types import fits


class Speaks(Protocol):
    def speak(self) -> str: ...
    def stop(self) -> None: ...


class Dog:
    def speak(self) -> str: ...
    def stop(self) -> None: ...


class Puppy(Dog):
    pass


class Stone:
    def speak(self) -> str: ...


CLASSES = {"dog": Dog, "puppy": Puppy, "stone": Stone, "foreign": None}
FIT = [
    (1, int), (1, float), (1.5, float), (True, bool), ("x", str), (None, None), (7, Any),
    (None, int | None), (1, str | int), ("a", Literal["a", "b"]), ([1, 2], list[int]),
    ([], list[int]), ((1, 2), Sequence[int]), ([1, "x"], tuple[int, str]), ([1, 2, 3],
    tuple[int, ...]), ("a/b", Path), ({"a": 1}, dict), ({"_target_": "dog"}, Dog),
    ({"_target_": "puppy"}, Dog), ({"_target_": "dog"}, Speaks), ({"_target_": "foreign"}, Dog),
    ({"_target_": "stone", "_partial_": True}, Dog),
]  # fmt: skip
UNFIT = [
    (1.5, int), (True, int), (True, float), (1, bool), ("1", float), ("1", int), (1, str),
    (0, None), ("x", int | None), (1.5, str | int), ("c", Literal["a", "b"]), ([1, "x"], list[int]),
    ("ab", list[str]), ([1, "x", 2], tuple[int, str]), ([1], tuple[int, str]), (3, Path),
    ([1, 2, "x"], tuple[int, ...]), ({"_target_": "stone"}, Dog), ({"_target_": "dog"}, Puppy),
    ({"_target_": "stone"}, Speaks), ({"a": 1}, Dog), ("dog", Dog),
]  # fmt: skip


@pytest.mark.parametrize(("value", "hint"), FIT, ids=str)
def test_it_fits(value: Any, hint: Any) -> None:
    assert fits(value, hint, CLASSES.get)


@pytest.mark.parametrize(("value", "hint"), UNFIT, ids=str)
def test_it_does_not(value: Any, hint: Any) -> None:
    assert not fits(value, hint, CLASSES.get)
