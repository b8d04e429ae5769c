"""Tokenizers lose nothing, leave id 0 to document boundaries, and come back from plain data."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab.data import remembered, tokenizers
from genlab.data.tokenizers import BPE, Bytes, Characters

SAMPLE = "the cat sat on the mat; the hat sat on the cat. <|end|> Grüße, 世界 🙂\r\n\t" * 20


def fitted(cls, vocab: int | None = 280):
    tokenizer = cls()
    tokenizer.fit([SAMPLE], ["unseen: Ω"], vocab=vocab)
    return tokenizer


@pytest.fixture(scope="module")
def bpe() -> BPE:
    return fitted(BPE)


@settings(max_examples=60, deadline=None)
@given(text=st.text())
def test_bytes_lose_nothing(text: str) -> None:
    ids = Bytes().encode(text)
    assert Bytes().decode(ids) == text and (len(ids) == 0 or 1 <= ids.min() <= ids.max() < 257)


@settings(max_examples=60, deadline=None)
@given(text=st.text() | st.text(alphabet="the cat<|end|>\n 🙂"))
def test_bpe_loses_nothing(bpe, text: str) -> None:
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text and (len(ids) == 0 or 1 <= ids.min() <= ids.max() < bpe.vocab)


@settings(max_examples=60, deadline=None)
@given(text=st.text())
def test_characters_lose_nothing(text: str) -> None:
    tokenizer = Characters()
    tokenizer.fit([text], [], vocab=0)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text and tokenizer.vocab == 1 + len(set(text))
    assert set(ids.tolist()) == set(range(1, tokenizer.vocab))


@pytest.mark.parametrize("cls", [Bytes, Characters, BPE])
def test_id_0_is_the_boundary_and_no_text_spells_it(cls) -> None:
    tokenizer = fitted(cls)
    spelt = tokenizer.encode("<|end|>")
    assert 0 not in spelt and len(spelt) > 0 and tokenizer.decode(spelt) == "<|end|>"
    ids = np.concatenate([[0], tokenizer.encode("cat"), [0], [0], tokenizer.encode("mat")])
    assert tokenizer.decode(ids) == "<|end|>cat<|end|><|end|>mat"
    assert tokenizer.decode(ids.tolist()) == tokenizer.decode(ids)
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("cls", [Bytes, Characters, BPE])
def test_the_state_is_plain_data_and_enough(cls) -> None:
    tokenizer, fresh = fitted(cls), cls()
    fresh.load_state(json.loads(json.dumps(tokenizer.state())))
    assert fresh.vocab == tokenizer.vocab
    assert fresh.encode(SAMPLE).tolist() == tokenizer.encode(SAMPLE).tolist()
    assert fresh.decode(fresh.encode(SAMPLE)) == SAMPLE


def test_bpe_learns_from_train_alone_and_shortens_it(bpe) -> None:
    assert bpe.vocab == 280
    assert len(bpe.encode(SAMPLE)) < 0.7 * len(SAMPLE.encode())
    other = BPE()
    other.fit([SAMPLE], ["quite another text " * 50], vocab=280)
    assert other.state() == bpe.state()
    both = bpe.encode_many(["the cat", "", "mat"])
    assert [bpe.decode(ids) for ids in both] == ["the cat", "", "mat"]


def test_part_of_a_character_does_not_stop_decoding() -> None:
    assert Bytes().decode(Bytes().encode("世")[:2]) == "�"


def test_a_character_that_is_not_in_the_vocabulary_is_named() -> None:
    tokenizer = fitted(Characters)
    for text in ("no Ж here", "~"):
        with pytest.raises(ValueError, match=r"the character '[Ж~]' is none of the \d+ of"):
            tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode("Ω")) == "Ω"
    with pytest.raises(ValueError, match="none of the 0"):
        Characters().encode("a")


def test_bpe_needs_room_for_the_bytes() -> None:
    with pytest.raises(ValueError, match=r"^data\.vocab=100: BPE needs 257 or more"):
        fitted(BPE, vocab=100)
    smallest = fitted(BPE, vocab=257)
    text = "héllo \n ✓"
    assert smallest.decode(smallest.encode(text)) == text


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    return tmp_path / "tokenizers"


def test_byte_pairs_are_learnt_once_a_text(cache, monkeypatch) -> None:
    fresh = fitted(BPE)
    (entry,) = cache.glob("*.json")
    assert set(json.loads(entry.read_text())["learnt"]) == {"vocab", "merges"}  # plain data
    monkeypatch.setattr(tokenizers, "_trained", None)  # learning again would fail
    again = fitted(BPE)
    assert again.state() == fresh.state()
    assert again.encode(SAMPLE).tolist() == fresh.encode(SAMPLE).tolist()
    monkeypatch.undo()


@pytest.mark.parametrize("other", ["text", "vocab"])
def test_another_text_or_vocabulary_is_learnt_anew(cache, other) -> None:
    fitted(BPE)
    tokenizer = BPE()
    text = SAMPLE + "!" if other == "text" else SAMPLE
    tokenizer.fit([text], [], vocab=281 if other == "vocab" else 280)
    assert len(list(cache.glob("*.json"))) == 2


DAMAGE = {
    "cut": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "no json": lambda text: "\\x80\\x04pickled",
    "other values": lambda text: text.replace('"merges": [[', '"merges": [["a", "b"], [', 1),
    "other form": lambda text: '{"sha256": "x", "learnt": []}',
    "deep": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_entry_is_learnt_anew(cache, kind) -> None:
    fresh = fitted(BPE)
    (entry,) = cache.glob("*.json")
    text = entry.read_text()
    damaged = DAMAGE[kind](text)
    assert damaged != text
    entry.write_text(damaged)
    assert fitted(BPE).state() == fresh.state()
    assert json.loads(entry.read_text()) == json.loads(text)


def test_a_sound_hash_over_an_unsound_vocabulary_is_not_taken(cache) -> None:
    fresh = fitted(BPE)
    (entry,) = cache.glob("*.json")
    learnt = json.loads(entry.read_text())["learnt"]
    for wrong in ({"a": 0}, {**learnt["vocab"], "x": 10**6}):
        remembered.keep(entry, {**learnt, "vocab": wrong})
        assert fitted(BPE).state() == fresh.state()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("dear")
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "file"))
    assert fitted(BPE).vocab == 280


def test_the_vocabulary_is_as_large_as_is_found() -> None:
    assert Bytes().known_vocab(None) == 257
    assert Characters().known_vocab(65) == 66 and Characters().known_vocab(None) is None
    assert fitted(BPE, vocab=None).vocab <= BPE().size == 1024
    with pytest.raises(ValueError, match=r"^tokenizer\.size=100: BPE needs 257"):
        BPE(size=100).fit([SAMPLE], [], vocab=None)


def _asked(change) -> dict[str, str]:
    """What a stranger's file may say of a tokenizer."""
    honest = BPE(size=300)
    honest.fit(["the cat sat on the mat " * 20], [""], vocab=300)
    state = json.loads(honest.state()["bpe"])
    change(state)
    return {"bpe": json.dumps(state)}


def _replaced(state: dict) -> None:
    """Each text of one letter becomes one of 10^8."""
    replace = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}
    state["normalizer"] = {"type": "Sequence", "normalizers": [replace] * 8}


def _padded(state: dict) -> None:
    state["padding"] = {"strategy": {"Fixed": 3 * 10**9}, "direction": "Right", "pad_id": 0,
                        "pad_to_multiple_of": None, "pad_type_id": 0, "pad_token": "x"}  # fmt: skip


def _strange(state: dict) -> None:
    state["added_tokens"] = [{"id": 2, "content": "cat", "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": False, "special": True}]  # fmt: skip


@pytest.mark.parametrize("change", [_replaced, _padded, _strange])
def test_of_a_strangers_bpe_only_vocabulary_and_merges_count(change) -> None:
    plain, asked = BPE(), BPE()
    plain.load_state(_asked(lambda state: None))
    began = time.process_time()
    asked.load_state(_asked(change))
    text = "the cat sat <|end|> aaaa"
    assert asked.encode(text).tolist() == plain.encode(text).tolist()
    assert asked.decode(asked.encode(text)) == text
    assert asked.state() == plain.state() and time.process_time() - began < 1


@pytest.mark.parametrize("ids", [{"a": 0, "b": 10**9}, {"a": 0, "b": 0}, {"a": -1}])
def test_a_vocabulary_with_holes_is_refused(ids) -> None:
    with pytest.raises(ValueError, match="ids that are not 0, 1, 2"):
        BPE().load_state(_asked(lambda state: state["model"].update(vocab=ids, merges=[])))


def _bpe_state(**changes) -> dict:
    model = json.loads(fitted(BPE).state()["bpe"])
    model["model"] |= changes
    return {"bpe": json.dumps(model)}


ODD_STATES = {
    "no state": (Characters, {}),
    "a number": (Characters, {"characters": 1}),
    "a list": (Characters, {"characters": ["ab", "c"]}),
    "bytes": (Characters, {"characters": b"abc"}),
    "twice the same": (Characters, {"characters": "aab"}),
    "not sorted": (Characters, {"characters": "ba"}),
    "half a pair": (Characters, {"characters": "a\ud800"}),
    "null": (BPE, {"bpe": "null"}),
    "nested": (BPE, {"bpe": "[" * 5000}),
    "merges of three": (BPE, _bpe_state(merges=[["a", "b", "c"]])),
    "a merge of no tokens": (BPE, _bpe_state(merges=[["at", "@@"]])),
    "ids of texts": (BPE, _bpe_state(vocab={"a": "0", "b": 1})),
    "ids of truths": (BPE, _bpe_state(vocab={"a": False, "b": True})),
    "a byte short": (BPE, _bpe_state(vocab={"a": 0, "b": 1}, merges=[])),
}


@pytest.mark.parametrize("name", ODD_STATES)
def test_an_odd_state_is_refused(name: str) -> None:
    """Found by the fuzzer: it was taken, and encode or decode failed later, or lost a byte."""
    cls, state = ODD_STATES[name]
    with pytest.raises(ValueError) as refused:
        cls().load_state(state)
    assert type(refused.value) is ValueError and "\n" not in str(refused.value)
