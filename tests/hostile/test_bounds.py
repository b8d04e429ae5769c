"""Each bound on a stranger's YAML by itself, on texts that cost little where it does not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from genlab.runs.gate.files import (
    check_config,
    check_plain,
    check_unfolding,
    folder_name,
    parse,
    read_text,
)
from genlab.runs.say.errors import UserError

THOUSAND = f"a: &a [{', '.join('x' * 1000)}]\n"
TEXTS = {
    "entries": ("\n".join(f"k{i}: 1" for i in range(26_000)), "unfolds into more than 50,000"),
    "aliases": (THOUSAND + f"b: [{', '.join(['*a'] * 60)}]", "unfolds into more than 50,000"),
    "long texts": (f"a: &a {'x' * 10**6}\nb: [{', '.join(['*a'] * 60)}]", "unfolds into more"),
    "depth": ("[" * 51 + "]" * 51, "nested deeper than 50"),
    "digits": (f"a: {'9' * 1001}", "a number of 1,001 digits"),
    "a type": ("a: !!python/tuple [1]", "line 1: the tag .* is not allowed"),
    "a tag of one's own": ("a: !mine 1", "line 1: the tag !mine is not allowed"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_yaml_is_bounded_before_it_unfolds(name: str) -> None:
    text, says = TEXTS[name]
    with pytest.raises(UserError, match=says):
        parse(text, "x.yaml")


def test_what_is_within_the_bounds_is_let_in() -> None:
    assert len(parse(THOUSAND + f"b: [{', '.join(['*a'] * 40)}]", "x")["b"]) == 40
    assert parse("[" * 50 + "]" * 50, "x") and parse(f"a: {'9' * 1000}", "x")["a"] > 0
    assert parse(f"a: '{'9' * 2000}'", "x") == {"a": "9" * 2000}


def test_a_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("x" * 2**20)
    assert len(read_text(path)) == 2**20
    path.write_text("x" * (2**20 + 1))
    with pytest.raises(UserError, match="larger than a config"):
        read_text(path)


def test_interpolations_are_bounded_before_they_unfold() -> None:
    chain = {f"b{i}": f"${{b{i + 1}}}" * 10 for i in range(8)} | {"b8": "x"}
    with pytest.raises(UserError, match="unfolds into more than 1,000,000"):
        check_unfolding(chain, "x.yaml")
    check_unfolding({k: v for k, v in chain.items() if k > "b4"}, "x.yaml")


def test_settled_values_are_plain_data() -> None:
    check_plain({"a": [1, 2.5, "x", None, True, ("y",)]})
    with pytest.raises(UserError, match=r"a\[0\]='\$\{b\}': .* not allowed in a settled value"):
        check_plain({"a": ["${b}"]})
    check_plain({"a": ["${b}"]}, texts=False)
    for value in (b"x", {1}, object()):
        with pytest.raises(UserError, match="is not plain data"):
            check_plain({"a": value})


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "-rf", "~x", "x" * 121, "a\nb", " "])
def test_a_name_is_one_folders(name: str) -> None:
    with pytest.raises(UserError, match="becomes a folder"):
        folder_name(name)
    assert folder_name("x" * 120) == "x" * 120 and folder_name("mine 2") == "mine 2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hydra: {run: {dir: x}}", "command line only"),
        ("trust: [os]", "command line only"),
        ("a: {save_dir: x}", "command line only"),
        ("logger: {wandb: {mode: online}}", "command line only"),
        ("a: '${oc.env:HOME}'", "no resolver"),
        ("defaults: [../x]", "defaults may not name"),
        ("defaults: [override /hydra/launcher: joblib]", "defaults may not name"),
        ("# @package hydra.callbacks\na: 1", "hydra is for the command line"),
    ],
)
def test_a_file_of_configs_says_nothing_that_only_the_command_line_may(
    text: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=says):
        check_config(tmp_path / "x.yaml")
