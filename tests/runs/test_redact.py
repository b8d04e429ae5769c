"""Each way in which a secret is known, by itself: one must not hide that another has failed."""

from __future__ import annotations

import pytest

from genlab.runs.say import secrets
from genlab.runs.say.secrets import redact


@pytest.fixture(autouse=True)
def _nothing_met(monkeypatch) -> None:
    monkeypatch.setattr(secrets, "_met", set())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it was ghp_aaaaaaaaaaaa, no", "it was [redacted], no"),
        ("from https://me:abc@host/x", "from https://[redacted]@host/x"),
        ("from https://me:a@b@host/x", "from https://[redacted]@host/x"),
        ("sent Bearer abcdefgh here", "sent Bearer [redacted] here"),
        ("sent basic YWJjOmRlZg== here", "sent basic [redacted] here"),
        ("x?api_key=short&b=1", "x?api_key=[redacted]&b=1"),
        ("{'password': 'abc'}", "{'password': [redacted]}"),
    ],
)
def test_by_its_form(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_by_its_name_at_any_depth() -> None:
    data = {"api_key": ["abc", ["def"]], "password": {"a": "ghi", "b": 7}, "keep": ["jkl"]}
    blot = "[redacted]"
    expected = {"api_key": [blot, [blot]], "password": {"a": blot, "b": blot}, "keep": ["jkl"]}
    assert redact(data) == expected
    assert redact({"num_tokens": "512", "token": "none"}) == {"num_tokens": "512", "token": "none"}


def test_by_its_value_once_it_was_met() -> None:
    redact({"password": "neverguessed1"})
    assert redact("it was neverguessed1!") == "it was [redacted]!"


def test_the_longer_of_two_goes_first_and_as_a_url_holds_it(monkeypatch) -> None:
    monkeypatch.setenv("A_TOKEN", "abcdefgh1")
    monkeypatch.setenv("B_TOKEN", "abcdefgh1-and-more2")
    monkeypatch.setenv("C_PASSWORD", "one two/three")
    assert redact("abcdefgh1-and-more2") == "[redacted:$B_TOKEN]"
    assert redact("x one%20two%2Fthree y") == "x [redacted:$C_PASSWORD] y"
