"""Personal data: planted items are found, numbers that are none are left alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import documents

from genlab.curation.base import Change, Example, Leave
from genlab.curation.rules.personal import Personal, is_card, is_iban

RIGHT = {
    "email": ["jane.doe@example.org", "a+b_c@mail.example.co.uk", "x@y.io", "Ü.Müller@firma.de"],
    "card": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
    "ip": ["192.168.17.4", "8.8.8.8", "2001:db8:85a3::8a2e:370:7334", "fe80::1ff:fe23:4567:890a"],
    "phone": ["+49 30 1234567", "+1 (555) 123-4567", "(030) 123-4567", "555-123-4567",
              "+44 20 7946 0958", "030/1234567", "+33 1 23 45 67 89", "555.123.4567"],
}  # fmt: skip
WRONG = [
    "4111 1111 1111 1112", "DE89 3704 0044 0532 0130 01", "version 1.2.3", "300.1.2.3",
    "3.14159265",
    "2024-01-15", "10:30:45", "12,345,678", "ISBN 978-3-16-148410-0", "0000 0000 0000 0000",
    "e@mail", "@someone", "a@b", "std::vector", "127.0.0.1", "1995-2005", "20240115123000",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "item"), [(k, i) for k, items in RIGHT.items() for i in items])
def test_each_is_found_within_a_sentence(kind, item) -> None:
    for text in (f"Write to {item}, please.", f"({item})", item, f"see {item}."):
        masked, found = Personal().masked(text)
        assert found == [kind], (text, found)
        assert masked == text.replace(item, f"<{kind.upper()}>")


@pytest.mark.parametrize("item", WRONG)
def test_what_is_none_is_left_alone(item) -> None:
    text = f"Here stands {item} and more."
    assert Personal().masked(text) == (text, [])


def test_recall_on_planted_items_and_precision_on_prose() -> None:
    draw, rule, planted, found = random.Random(0), Personal(), 0, 0
    for text in documents(200):
        words = text.split(" ")
        kind = draw.choice(list(RIGHT))
        words.insert(draw.randrange(len(words)), draw.choice(RIGHT[kind]))
        planted += 1
        found += rule.masked(" ".join(words))[1] == [kind]
    assert found / planted >= 0.95
    assert all(rule(Example("a", text)) is None for text in documents(200, seed=1))


@given(st.integers(0, 10**15 - 1))
def test_one_wrong_digit_is_no_card(number) -> None:
    digits = f"4{number:015d}"[:15]
    right = next(d for d in "0123456789" if is_card(digits + d) or len(set(digits + d)) == 1)
    if not is_card(digits + right):
        return
    assert sum(is_card(digits + d) for d in "0123456789") == 1


def test_check_digits_of_an_account() -> None:
    assert is_iban("GB82 WEST 1234 5698 7654 32")
    for i in range(4, 22):
        text = "GB82WEST12345698765432"
        other = "A" if text[i].isalpha() and text[i] != "A" else str((int(text[i], 36) + 1) % 10)
        assert not is_iban(text[:i] + other + text[i + 1 :])


def test_documents_may_be_left_out_and_names_are_a_list(tmp_path) -> None:
    (tmp_path / "names.txt").write_text("Ada Lovelace\nAda\n")
    rule = Personal(names=str(tmp_path / "names.txt"))
    found = rule(Example("a", "Ada Lovelace met Ada, not Adam."))
    assert isinstance(found, Change) and found.data == "<NAME> met <NAME>, not Adam."
    left = Personal(action="leave")(Example("a", "a@b.org 8.8.8.8 c@d.org"))
    assert left == Leave("personal data", "2 email, 1 ip")
    with pytest.raises(ValueError, match="find=passport: allowed are"):
        Personal(find=["passport"])
