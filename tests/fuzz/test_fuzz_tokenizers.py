"""What a tokenizer or a column has learnt, of a stranger's checkpoint: it works, or is refused."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from fuzzing import ODD, change, fuzz, mutated, sizes

from genlab.data.columns import Categories, Numbers
from genlab.data.kinds import fit_column, restored
from genlab.data.tokenizers import BPE, Characters, Tokenizer

SAMPLE = "the cat sat on the mat; the hat sat on the cat. Grüße, 世界 🙂\r\n\t" * 5
WORDS = ["\\ud800", '"', "{", "}", "[", "]", ",", ":", "null", "1e999", "-1", "[" * 2000, "Ġ", "\0",
         '"merges": [', '"vocab": {', "9" * 30, "0", "true", "\x80", "a b", "🙂"]  # fmt: skip


def honest() -> dict[str, dict[str, Any]]:
    bpe, characters = BPE(), Characters()
    bpe.fit([SAMPLE], [], vocab=290)
    characters.fit([SAMPLE], [], vocab=None)
    return {"BPE": bpe.state(), "Characters": characters.state()}


def odd_bpe(rng: random.Random, text: str) -> Any:
    model = json.loads(text)
    inner = model["model"]
    vocab, merges = inner["vocab"], inner["merges"]
    kind = rng.randrange(8)
    if kind == 0:
        return mutated(rng, text, WORDS)
    if kind == 1:
        change(rng, model)
    elif kind == 2:
        change(rng, {"m": merges})
    elif kind == 3:  # ids that change places
        for _ in range(rng.randint(1, 3)):
            a, b = rng.sample([*vocab], 2)
            vocab[a], vocab[b] = vocab[b], vocab[a]
    elif kind == 4:  # a token goes or comes
        token = rng.choice([*vocab])
        at = vocab.pop(token)
        new = rng.choice(("", "a", "<|end|>", "\0", "Ġ", "é", "🙂", "x" * 300, token[::-1], "a b"))
        vocab[new] = at
    elif kind == 5:
        rng.shuffle(merges)
    elif kind == 6:
        one = rng.choice(merges)
        merges.insert(rng.randrange(len(merges)), rng.choice((one, one[::-1], [*one, "a"], "a b")))
    else:
        change(rng, vocab, odd=(*ODD, *range(0, 300, 30)))
    return json.dumps(model)


def odd_characters(rng: random.Random, text: str) -> Any:
    kind = rng.randrange(4)
    if kind == 0:
        return mutated(rng, text, ["\ud800", "a", "aa", "\0", "🙂", "\u0301", "é", "e\u0301"])
    if kind == 1:
        return rng.choice((*ODD, [*text], text.encode(), {"a": 1}, ["ab", "c"], (*text,)))
    if kind == 2:
        return "".join(rng.sample(text, len(text)))
    return "".join(sorted(rng.sample(text, rng.randint(0, len(text)))))


def make(rng: random.Random, states: dict[str, Any]) -> tuple[str, Any]:
    name = rng.choice([*states])
    (key, text), kind = next(iter(states[name].items())), rng.randrange(12)
    if kind == 0:
        state: Any = copy.deepcopy(states[rng.choice([*states])])
        change(rng, {"state": state})
        return name, state
    if kind == 1:
        return name, copy.deepcopy(states[name])
    return name, {key: (odd_bpe if name == "BPE" else odd_characters)(rng, text)}


@sizes()
def test_the_state_of_a_tokenizer(num: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    states = honest()
    (tmp_path / "here").mkdir()

    def meet(value: tuple[str, Any]) -> str:
        name, state = value
        tokenizer: Tokenizer = {"BPE": BPE, "Characters": Characters}[name]()
        tokenizer.load_state(state)
        assert isinstance(tokenizer.vocab, int) and tokenizer.vocab >= 1
        ids = np.arange(tokenizer.vocab)
        assert isinstance(tokenizer.decode(ids), str), "an id that it has no text for"
        for text in ("", "cat", SAMPLE, "<|end|>", "\0"):
            try:
                spelt = tokenizer.encode(text)
            except ValueError as error:
                assert name == "Characters" and "is none of the" in str(error)
                continue
            assert not len(spelt) or 1 <= spelt.min() <= spelt.max() < tokenizer.vocab
            assert tokenizer.decode(spelt) == text, "it loses what it spells"
        fresh = type(tokenizer)()
        fresh.load_state(json.loads(json.dumps(tokenizer.state())))
        assert fresh.vocab == tokenizer.vocab and fresh.decode(ids) == tokenizer.decode(ids)
        return name

    fuzz("a tokenizer's state", num, tmp_path / "here", lambda rng: make(rng, states), meet)


CELLS = (
    ["1", "2", "2", None, "5", "7"], ["0.5", "1.25", "-3.5"], ["a", "b", None, "a"],
    [str(i * 3) for i in range(40)], ["x", "x", "y"],
)  # fmt: skip


@sizes(few=100)
def test_the_state_of_a_column(num: int, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    states = [fit_column("c", cells, cells, None).state() for cells in CELLS]

    def make(rng: random.Random) -> Any:
        state = copy.deepcopy(rng.choice(states))
        if rng.random() < 0.9:
            change(rng, rng.choice((state, state, state["values"])), most=2)
        return state

    def meet(state: Any) -> str:
        column = restored(state)
        widest = np.linspace(-9, 9, 5 * sum(column.widths)).reshape(5, -1)
        for cells in (column.decode(widest), column.decode(-widest), column.typical(3)):
            texts = isinstance(column, Categories)
            kinds = str if texts else int if column.kind == "integer" else float
            assert all(v is None or isinstance(v, kinds) for v in cells)
        assert str(column) and restored(json.loads(json.dumps(column.state()))).widths
        if isinstance(column, Numbers):
            middle, half = column.place(column.read(["1", None, "1e9"]))
            assert len(middle) == len(half) == 3
        return column.kind

    fuzz("a column's state", num, tmp_path / "here", make, meet)
