"""Where training examples come from: licence, source and consent of each, as counts.

Read: `Origin` (what is known of an example), `Origins` (how many have which, and one of each), and
`Traced`, which sources of data are (a data module is `Sourced`): a known set states one `Origin`
for all of it, as its authors do; files and rows of one's own have columns `licence` (or `license`),
`source` and `consent`. What is not stated is unknown. Counts are taken while the data are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

UNKNOWN, OTHERS = "unknown", "(others)"
COLUMNS = ("licence", "license", "source", "consent")
MOST, LONG = 1000, 200  # different origins that are told apart; letters of a text


class Origin(NamedTuple):
    """What is known of an example, each as it is written; "" where nothing is."""

    licence: str = UNKNOWN
    source: str = ""
    consent: str = ""


DRAWN = Origin("Public domain", "drawn by genlab from a law: nobody's work")


class Origins:
    """How many examples are of each origin, with the name of the first of each.

    Over MOST origins differ, those that come later count together by licence; where licences are
    over MOST too, the rest is unknown.
    """

    def __init__(self, noun: str = "examples") -> None:
        self.noun = noun
        self.counts: dict[Origin, int] = {}
        self.examples: dict[Origin, str] = {}

    @classmethod
    def whole(cls, origin: Origin, num: int, example: str, *, noun: str = "examples") -> Origins:
        """`num` examples of one origin."""
        found = cls(noun)
        found.add(origin, example, num)
        return found

    def add(self, origin: Origin, example: str, num: int = 1) -> None:
        if origin not in self.counts and len(self.counts) >= MOST:
            origin = Origin(origin.licence, OTHERS)
            if origin not in self.counts and len(self.counts) >= 2 * MOST:
                origin = Origin(UNKNOWN, OTHERS)
        self.counts[origin] = self.counts.get(origin, 0) + num
        self.examples.setdefault(origin, text_of(example))

    def plain(self) -> list[dict[str, Any]]:
        """Plain data, the most frequent first."""
        order = sorted(self.counts, key=lambda o: (-self.counts[o], o))
        return [
            {**o._asdict(), "examples": self.counts[o], "example": self.examples[o]} for o in order
        ]


def text_of(value: Any) -> str:
    """A cell as one line of at most LONG letters; "" where it is empty."""
    return " ".join(str(value).split())[:LONG] if value not in (None, "") else ""


def origin_of(row: Mapping[str, Any], default: Origin = Origin()) -> Origin:  # noqa: B008
    """What a row's columns say; what they leave open is the default's."""
    licence = text_of(row.get("licence")) or text_of(row.get("license")) or default.licence
    source, consent = (text_of(row.get(k)) or getattr(default, k) for k in ("source", "consent"))
    return Origin(licence, source, consent)


def of_rows(
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    default: Origin = Origin(),  # noqa: B008
    *,
    noun: str = "examples",
) -> Origins:
    """Of rows with the names of their examples."""
    found = Origins(noun)
    for name, row in rows:
        found.add(origin_of(row, default), name)
    return found


def of_columns(
    names: Sequence[str], columns: Mapping[str, Sequence[Any]], default: Origin
) -> Origins:
    """Of examples by name, with what is known of them in columns."""
    own = {k: columns[k] for k in COLUMNS if k in columns}
    return of_rows(
        ((name, {k: values[i] for k, values in own.items()}) for i, name in enumerate(names)),
        default,
    )


def of_table(columns: Mapping[str, Sequence[str]], ids: Sequence[int], default: Origin) -> Origins:
    """Of the rows `ids` of a table; one without a column of licences is of one origin."""
    if not {"licence", "license"} & columns.keys():
        return Origins.whole(default, len(ids), "row 1", noun="rows")
    named = ((f"row {i + 1}", {k: cells[i] for k, cells in columns.items()}) for i in ids)
    return of_rows(named, default, noun="rows")


class Traced:
    """A source that says where its examples come from."""

    origin: ClassVar[Origin] = Origin()  # of all that it has, where no column says otherwise

    def origins(self, ids: Sequence[int]) -> Origins:
        """Of its training examples those that are trained on, by their numbers."""
        return Origins.whole(self.origin, len(ids), "example 0")


class Sourced:
    """A data module that says where its training examples come from: as its source does."""

    origin: ClassVar[Origin] = Origin()  # of data without a source
    train: Any  # its training examples

    def trained_on(self) -> Sequence[int]:
        """Which of the training examples that were read are trained on, by number."""
        return range(len(self.train))

    def origins(self) -> Origins:
        """Licence, source and consent of the training examples, as counts."""
        ids = self.trained_on()
        source = getattr(self, "source", None)
        if isinstance(source, Traced):
            return source.origins(ids)
        return Origins.whole(self.origin, len(ids), self.train.name_of(0), noun=self.noun)
