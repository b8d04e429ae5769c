"""What names a person in a text: addresses, telephone and card numbers, by exact patterns.

Numbers with check digits are checked (cards: Luhn; IBAN: ISO 7064, mod 97), so that few others are
taken for one. Names of people need a list, or a model: `names` takes a list.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from genlab.curation.base import Change, Example, Leave
from genlab.curation.rules.texts import TextRule

EMAIL = r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w-])"
CARD = r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])"
IBAN = r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
IP4 = r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)"
IP6 = r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"
# +49 30 1234567, (030) 123-4567, 030/1234567, 555-123-4567: a sign, brackets or groups
PHONE = (
    r"(?<![\w.+-])(?<!\d )(?:\+\d{1,3}[ ./-]?(?:\(\d{1,4}\)[ ./-]?)?\d{1,4}(?:[ ./-]?\d{2,5}){1,4}"
    r"|\(\d{2,5}\)[ ./-]?\d{3,4}(?:[ ./-]?\d{2,4}){1,2}"
    r"|0\d{2,4}[ /-]\d{3,4}(?:[ -]?\d{2,4}){1,2}"
    r"|\d{3}[ .-]\d{3}[ .-]\d{4})(?![\w-]|\.\d)"
)


# how the numbers of cards begin, and how long they are (ISO/IEC 7812)
CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|2720\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|4[4-9]\d|5\d\d)\d{12}"
)


def is_card(text: str) -> bool:
    """Whether it begins as cards do and its last digit is Luhn's of the others."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = (2 * d - 9 * (d > 4) if i % 2 else d for i, d in enumerate(reversed(digits)))
    return CARDS.fullmatch("".join(map(str, digits))) is not None and sum(doubled) % 10 == 0


def is_iban(text: str) -> bool:
    """ISO 13616: the country's letters and check digits to the end, letters as 10 to 35."""
    packed = text.replace(" ", "")
    if not 15 <= len(packed) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in packed[4:] + packed[:4])) % 97 == 1


def is_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback) and (
        address.version == 4 or text.count(":") >= 3
    )


def is_phone(text: str) -> bool:
    return 8 <= sum(c.isdigit() for c in text) <= 15


Found = tuple[str, re.Pattern[str], Callable[[str], bool]]
KINDS: tuple[Found, ...] = (  # in this order: a number of one is not looked at by those after it
    ("email", re.compile(EMAIL), lambda text: True),
    ("iban", re.compile(IBAN), is_iban),
    ("card", re.compile(CARD), is_card),
    ("ip", re.compile(IP4), is_address),
    ("ip", re.compile(IP6), is_address),
    ("phone", re.compile(PHONE), is_phone),
)


class Personal(TextRule):
    """Personal data are written over, or their document is left out."""

    ALLOWED: ClassVar = ("email", "iban", "card", "ip", "phone")

    def __init__(
        self, *, find: Sequence[str] = ALLOWED, action: Literal["mask", "leave"] = "mask",
        names: str | None = None,
    ) -> None:  # fmt: skip
        """`find`: which of email, iban, card, ip, phone; `action`: mask writes <EMAIL> over it;
        `names`: a file of people's names, one a line, that are found as whole words."""
        if odd := set(find) - set(self.ALLOWED):
            raise ValueError(f"find={sorted(odd)[0]}: allowed are {', '.join(self.ALLOWED)}")
        self.kinds_of = [k for k in KINDS if k[0] in find]
        self.action, self.names = action, None
        if names is not None:
            lines = Path(names).expanduser().read_text(encoding="utf-8").splitlines()
            listed = sorted({x.strip() for x in lines if x.strip()}, key=len, reverse=True)
            self.names = re.compile(rf"\b(?:{'|'.join(map(re.escape, listed))})\b")

    def __call__(self, example: Example) -> Leave | Change | None:
        text, found = self.masked(example.data)
        if not found:
            return None
        value = ", ".join(f"{found.count(k)} {k}" for k in dict.fromkeys(found))
        if self.action == "leave":
            return Leave("personal data", value)
        return Change("personal data", value, data=text)

    def masked(self, text: str) -> tuple[str, list[str]]:
        """The text with what was found written over, and the kinds of it in turn."""
        found: list[str] = []
        for kind, pattern, right in self.kinds_of:

            def over(match: re.Match[str], kind: str = kind, right: Callable = right) -> str:
                if not right(match[0]):
                    return match[0]
                found.append(kind)
                return f"<{kind.upper()}>"

            text = pattern.sub(over, text)
        if self.names is not None:
            text, num = self.names.subn("<NAME>", text)
            found += ["name"] * num
        return text, found

    def __getstate__(self) -> dict:
        return {**self.__dict__, "kinds_of": [k[0] for k in self.kinds_of]}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.kinds_of = [k for k in KINDS if k[0] in state["kinds_of"]]
