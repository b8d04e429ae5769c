"""Rules of texts: each sees the defect that it is for, and leaves prose alone."""

from __future__ import annotations

import pytest
from made import documents

from genlab.curation.base import Change, Example, Leave, Note
from genlab.curation.rules.held_out import HeldOut
from genlab.curation.rules.markup import Markup
from genlab.curation.rules.texts import (
    Characters,
    Language,
    Length,
    Prose,
    Ratio,
    Repetition,
    repeated,
)


def says(rule, text: str):
    return rule(Example("a", text))


@pytest.mark.parametrize(
    "rule", [Length(least=100), Repetition(), Prose(), Ratio()], ids=lambda r: type(r).__name__
)
def test_prose_is_kept(rule) -> None:
    assert [said for text in documents(60) if (said := says(rule, text))] == []


def test_characters_are_of_one_form_and_none_is_hidden() -> None:
    found = says(Characters(), "cafe\u0301\u200b \r\nx\u202eabc\x00\n\n\n\n\n\nend  ")
    assert isinstance(found, Change) and found.data == "café\nxabc\n\n\nend"
    assert says(Characters(), found.data) is None, "what was changed is not changed again"
    assert says(Characters(), "emoji 👩\u200d🚀 and ZWNJ می\u200cخواهم") is None, (
        "joiners mean something"
    )


def test_lengths_are_counted_in_characters_or_words() -> None:
    assert says(Length(least=3), "abc") is None and says(Length(most=3), "abc") is None
    assert says(Length(least=4), "abc") == Leave("under 4 characters", 3)
    assert says(Length(most=1, unit="words"), "a b") == Leave("over 1 words", 2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("the same line\n" * 10, "repeated lines"),
        ("\n\n".join(["one\ntwo", "three"] * 5), "repeated"),
        ("buy now " * 40 + " ".join(documents(1)), "one run of"),
        (" ".join([*(documents(1)[0].split()[:40]), *(documents(1)[0].split()[:40])]), "runs of"),
    ],
)
def test_repetition_is_seen(text, why) -> None:
    found = says(Repetition(), text)
    assert isinstance(found, Leave) and why in found.why


def test_repeated_characters_are_counted_once() -> None:
    words = ["a", "b", "c", "d", "e", "a", "b", "c", "d", "e", "x", "a", "b", "c", "d", "e"]
    assert repeated(words, 5) == 10 and repeated(words, 3) == 10 and repeated(words, 6) == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a b c d " * 20, "mean length"),
        ("# several words ... " * 20, "symbols"),
        ("1234 5678 2024 word " * 20, "with a letter"),
        ("\n".join(["- something that is long enough"] * 20), "bullets"),
        ("\n".join(["something that is long enough to end like this once more…"] * 20), "..."),
        ("   ", "no words"),
    ],
)
def test_what_is_no_prose_is_seen(text, why) -> None:
    assert why in says(Prose(), text).why
    assert says(Prose(stop_words=["the", "and"]), "only nouns stand here " * 9).why == "stop words"


def test_noise_and_one_thing_over_and_over_are_seen_by_a_compressor() -> None:
    import random

    draw = random.Random(0)
    noise = "".join(chr(draw.randrange(33, 127)) for _ in range(2000))
    assert says(Ratio(most=0.8), noise).value > 0.8
    assert says(Ratio(), "abc" * 500).value < 0.05 and says(Ratio(), "abc" * 5) is None


def test_the_language_is_written_beside_or_the_text_left_out() -> None:
    pytest.importorskip("py3langid")
    rule = Language(keep=["en"])
    english = "The old man walked along the river and thought about his children."
    german = "Der alte Mann ging am Fluss entlang und dachte an seine Kinder, die fort waren."
    assert says(rule, english) == Note({"language": "en"})
    assert says(rule, german) == Leave("another language", "de")
    assert says(Language(keep=[]), german) == Note({"language": "de"})


PAGE = """<!DOCTYPE html><html><head><title>T</title><style>p{}</style></head><body>
<nav><a href="/">Home</a> <a href="/a">About us and more</a></nav>
<article><h1>A heading of the page</h1><p>First paragraph, which is long enough to be taken for the
main text of it, as it goes on for a while.</p><p>Second paragraph with <b>bold</b> words, and it
goes on too, so that nobody takes it for a menu.</p></article>
<script>var x = "never shown";</script><footer>Copyright somebody</footer></body></html>"""


@pytest.mark.parametrize("by", ["trafilatura", "selectolax"])
def test_a_page_becomes_its_text(by) -> None:
    pytest.importorskip(by)
    found = says(Markup(by=by), PAGE)
    assert isinstance(found, Change)
    assert "First paragraph" in found.data and "bold" in found.data
    for gone in ("never shown", "<p>", "Copyright somebody", "Home"):
        assert gone not in found.data
    assert says(Markup(by=by), "2 < 3 and <b is no tag") is None
    assert says(Markup(by=by), "<html><body><script>1</script></body></html>").why.startswith(
        "a page"
    )


def test_held_out_runs_of_words_are_found_in_any_writing(tmp_path) -> None:
    held, *others = documents(5)
    (tmp_path / "held.txt").write_text(held)
    rule = HeldOut(against=str(tmp_path / "held.txt"), n=13)
    quoted = f"{others[0]} {' '.join(held.split()[10:30]).upper().replace(',', ' ')}"
    assert says(rule, quoted).value == 8, "20 words have 8 runs of 13"
    assert [says(rule, t) for t in others] == [None] * 4
    assert says(HeldOut(against=str(tmp_path / "held.txt"), share=0.5), quoted) is None
