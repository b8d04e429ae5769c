"""Copied passages and words, on texts where the answer can be read off."""

from __future__ import annotations

import random

import pytest

from genlab.metrics.language import Corpus, word_metrics


def test_words_and_pairs():
    texts = ["xx the cat sat on the cat yy", "the dog ran"]
    found = word_metrics(texts, {"the", "cat", "sat"})
    assert found["known_words"] == pytest.approx(5 / 6)  # dog is not; ends may be cut; on is short
    assert found["distinct_2"] == pytest.approx(8 / 9)  # "the cat" twice
    assert word_metrics(["", "!"], set()) == {"known_words": 0.0, "distinct_2": 0.0}


def test_longest_copy_is_brute_force():
    rng = random.Random(0)
    text = "".join(rng.choice("abc é") for _ in range(400))
    samples = ["".join(rng.choice("abc é") for _ in range(60)) for _ in range(5)]
    samples.append("zz" + text[100:123] + "zz")

    def brute():
        return max(
            (s[i:j] for s in samples for i in range(61) for j in range(i, 61) if s[i:j] in text),
            key=len,
        )

    found = Corpus(text).longest_copy(samples)
    assert len(found) == len(brute()) == 23
    assert found in text


def test_copied_share_counts_the_characters_of_long_passages():
    rng = random.Random(1)
    text = "".join(chr(rng.randrange(33, 1000)) for _ in range(3_000_00))
    copied = text[250_000:250_080]
    sample = "\n" * 20 + copied + "\n" * 100
    corpus = Corpus(text)
    assert corpus.copied_share([sample, "\n" * 200], 50) == pytest.approx(80 / 400)
    assert corpus.copied_share([sample], 81) == 0
    assert corpus.longest_copy([sample]) == copied
    assert corpus.longest_copy(["\n"]) == corpus.longest_copy([""]) == corpus.longest_copy([]) == ""


def test_a_passage_across_the_pieces_of_a_long_text_is_found():
    text = "a" * ((1 << 20) - 10) + "0123456789ABCDEFGHIJ" + "b" * 100
    assert Corpus(text).longest_copy(["?0123456789ABCDEFGHIJ?"]) == "0123456789ABCDEFGHIJ"


def test_a_text_shorter_than_the_passage():
    assert Corpus("abc").copied_share(["abcdefgh" * 10], 50) == 0
    assert Corpus("").longest_copy(["abc"]) == ""
