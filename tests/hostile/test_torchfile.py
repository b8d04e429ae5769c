"""What is loaded is bounded by the file that it came from, and lies in memory of its own."""

from __future__ import annotations

import datetime
from collections import OrderedDict

import pytest
import torch

from genlab.runs.gate.torchfile import _check_pickle, owned


def test_tensors_have_no_more_bytes_together_than_the_file() -> None:
    storage = torch.zeros(1000)
    views = {str(i): storage[i : 900 + i] for i in range(100)}  # each real, 90 times the file
    with pytest.raises(ValueError, match="claim more bytes than the file has"):
        owned(views, 4096)
    assert owned({"a": storage, "b": storage}, 4000)["a"].equal(storage), "shared counts once"
    with pytest.raises(ValueError, match="claim more bytes"):
        owned({"a": storage}, 3999)


def test_no_tensor_is_larger_than_its_storage() -> None:
    with pytest.raises(ValueError, match="too few bytes in the file"):
        owned(torch.zeros(1).expand(10**9), 10**12)


def test_what_is_owned_is_no_longer_the_files() -> None:
    mapped = torch.arange(6.0).view(2, 3)
    found = owned(OrderedDict(a=[mapped, mapped.T]), 1000)
    mapped.zero_()
    assert type(found) is OrderedDict and torch.equal(found["a"][0], torch.arange(6.0).view(2, 3))
    assert torch.equal(found["a"][1], found["a"][0].T)
    both = owned([mapped, mapped], 1000)
    assert both[0] is both[1], "what was one stays one: tied weights"


def test_depth_and_entries_are_bounded() -> None:
    deep: list = []
    for _ in range(150):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deep"):
        owned(deep, 10)
    shared: list = [0]
    for _ in range(30):
        shared = [shared, shared]
    with pytest.raises(ValueError, match="too many entries"):
        owned(shared, 10)


@pytest.mark.parametrize("value", [object(), {1}, datetime.date(2020, 1, 1), torch.Size([1])])
def test_all_but_plain_data_is_refused(value) -> None:
    with pytest.raises(ValueError, match="it holds a"):
        owned({"a": [value]}, 100)


@pytest.mark.parametrize("key", [torch._utils._rebuild_tensor_v2, None, b"x", torch.float32])
def test_a_key_is_a_text_or_a_number(key) -> None:
    with pytest.raises(ValueError, match="it holds a key that is a"):
        owned({"a": {key: 1}}, 100)
    assert owned({"a": {1: 2, "b": 3, (1, "c"): 4}}, 100) == {"a": {1: 2, "b": 3, (1, "c"): 4}}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("os\nsystem", "names os.system"),
        ("torch\nFloatStorageX", "names torch.FloatStorageX"),
        ("collections\nOrderedDict.fromkeys", "names collections.OrderedDict.fromkeys"),
        ("torch\nboolean", "names torch.boolean"),
    ],
)
def test_a_pickle_names_only_what_is_listed(name: str, says: str) -> None:
    _check_pickle(b"\x80\x02ctorch\nFloatStorage\n.", {})
    with pytest.raises(ValueError, match=says):
        _check_pickle(b"\x80\x02c" + name.encode() + b"\n.", {})
    with pytest.raises(ValueError, match="uses STACK_GLOBAL"):
        _check_pickle(b"\x80\x04\x8c\x02os\x8c\x06system\x93.", {})
