"""Documents made for tests: many alike, some with defects that rules must see."""

from __future__ import annotations

import json
import random
from pathlib import Path

WORDS = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "problem",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "government",
    "number",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study",
    "book",
    "eye",
    "job",
    "word",
    "business",
    "issue",
    "side",
    "kind",
    "head",
    "house",
    "service",
    "friend",
    "father",
    "power",
    "hour",
    "game",
    "line",
    "end",
    "member",
    "law",
    "car",
    "city",
    "community",
    "name",
    "president",
    "team",
    "minute",
    "idea",
    "body",
    "information",
    "back",
    "parent",
    "face",
    "others",
    "level",
    "office",
    "door",
    "health",
    "person",
    "art",
    "war",
    "history",
    "party",
    "result",
    "change",
    "morning",
    "reason",
    "research",
    "girl",
    "guy",
    "moment",
    "air",
    "teacher",
    "force",
    "education",
]
SMALL = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "a",
    "is",
    "that",
    "for",
    "it",
    "was",
    "on",
    "are",
    "with",
    "as",
    "at",
    "be",
    "by",
    "this",
    "have",
    "from",
    "or",
]


def sentence(draw: random.Random) -> str:
    words = [draw.choice(SMALL if i % 2 else WORDS) for i in range(draw.randrange(8, 18))]
    return " ".join(words).capitalize() + "."


def document(draw: random.Random, sentences: int = 12) -> str:
    lines = [sentence(draw) for _ in range(sentences)]
    return "\n".join(" ".join(lines[i : i + 3]) for i in range(0, sentences, 3))


def documents(num: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [document(draw, draw.randrange(8, 30)) for _ in range(num)]


def write_jsonl(path: Path, texts: list[str], **columns) -> Path:
    rows = ({"text": t, **{k: v(i) for k, v in columns.items()}} for i, t in enumerate(texts))
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    return path
