"""Rules of what is known: licences and policies, columns, splits by group, balance."""

from __future__ import annotations

from collections import Counter

import pytest

from genlab.curation.base import Example, Leave, Note
from genlab.curation.licences import LICENCES, POLICIES, allowed, licence_of
from genlab.curation.rules.facts import Balance, Forget, Licence, Split, Where


def says(rule, **facts):
    return rule(Example("a", "text", facts))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MIT", "MIT"), ("mit license", "MIT"), ("The MIT License", "MIT"), ("CC0", "CC0-1.0"),
        ("CC BY-SA 4.0", "CC-BY-SA"), ("cc-by-4.0", "CC-BY"), ("CC BY 3.0", "CC-BY"),
        ("CC-BY-NC-SA 4.0", "CC-BY-NC-SA"), ("apache 2.0", "APACHE-2.0"),
        ("GPL-3.0", "GPL"), ("GPL-2+", "GPL"), ("gpl-2.0-or-later", "GPL"), ("LGPL-2.1", "LGPL"),
        ("public domain", "PUBLIC-DOMAIN"), ("PSF-2.0", "PSF-2.0"),
        ("my own", None), ("", None), ("proprietary", None),
    ],
)  # fmt: skip
def test_licences_as_people_write_them(text, name) -> None:
    assert licence_of(text) == name


@pytest.mark.parametrize("name", LICENCES)
def test_every_listed_licence_has_an_answer_of_every_policy(name) -> None:
    assert licence_of(name) == name
    answers = {policy: allowed(name, policy) for policy in POLICIES}
    assert None not in answers.values()
    order = ["public_domain", "permissive", "commercial", "open"]
    given = [answers[p] for p in order]
    assert given == sorted(given), "what a stricter policy allows, a laxer one allows"


def test_a_policy_leaves_out_what_it_forbids_and_what_it_does_not_know() -> None:
    rule = Licence(policy="commercial")
    assert says(rule, licence="CC BY-NC 4.0").why == "not allowed by policy=commercial"
    assert says(rule, licence="CC BY-SA 4.0") == Note({"licence": "CC BY-SA 4.0"})
    assert says(rule, license="MIT") == Note({"licence": "MIT"})
    assert says(rule, licence="ask me") == Leave("a licence that is not known", "ask me")
    assert says(rule) == Leave("no licence", None)
    assert says(Licence(unknown="keep")) is None and says(Licence(default="MIT")) == Note(
        {"licence": "MIT"}
    )
    assert says(Licence(policy="permissive"), licence="GPL-3.0 or MIT") == Note(
        {"licence": "GPL-3.0 or MIT"}
    )
    assert says(Licence(policy="permissive"), licence="GPL-3.0 and MIT").why.startswith(
        "not allowed"
    )
    with pytest.raises(ValueError, match="policy=free: there are"):
        Licence(policy="free")


def test_columns_lie_among_values_or_between_numbers() -> None:
    assert says(Where(column="lang", among=["en"]), lang="en") is None
    assert says(Where(column="lang", among=["en"]), lang="de") == Leave("lang", "de")
    between = Where(column="age", least=0, most=120)
    assert says(between, age="40") is None and says(between, age=0) is None
    assert says(between, age=-1) == Leave("age under 0", -1.0)
    assert says(between, age=121) == Leave("age over 120", 121.0)
    assert says(between, age="old") == Leave("age is no number", "old")
    assert (
        says(between) == Leave("no age")
        and says(Where(column="age", least=0, missing="keep")) is None
    )
    with pytest.raises(ValueError, match="among="):
        Where(column="age")


def split(rule: Split, groups: list[str]) -> list[str]:
    examples = [Example(str(i), "", {"who": g}) for i, g in enumerate(groups)]
    said = rule.decide([rule.sketch(e, None) for e in examples])
    return [said[i].facts["split"] if i in said else "train" for i in range(len(groups))]


def test_a_split_is_by_hash_and_keeps_groups_whole() -> None:
    groups = [f"speaker {i % 40}" for i in range(1000)]
    found = split(Split(val=0.1, test=0.1, group="who"), groups)
    assert found == split(Split(val=0.1, test=0.1, group="who"), groups)
    sides = {s: {g for g, x in zip(groups, found) if x == s} for s in ("train", "val", "test")}
    assert not sides["train"] & sides["val"] and not sides["val"] & sides["test"]
    assert Counter(found) == {"train": 800, "val": 100, "test": 100}
    alone = Counter(split(Split(val=0.25), groups))
    assert alone == {"train": 750, "val": 250}
    assert split(Split(seed=1), groups) != split(Split(), groups)


def balance(rule: Balance, values: list[str]) -> dict:
    examples = [Example(str(i), "", {"label": v}) for i, v in enumerate(values)]
    return rule.decide([rule.sketch(e, None) for e in examples])


def test_balance_by_weights_and_by_leaving_out() -> None:
    values = ["cat"] * 80 + ["dog"] * 20
    weights = balance(Balance(column="label"), values)
    total = Counter()
    for i, said in weights.items():
        total[values[i]] += said.facts["weight"]
    assert total == pytest.approx({"cat": 50.0, "dog": 50.0})
    gone = balance(Balance(column="label", by="leave"), values)
    left = Counter(v for i, v in enumerate(values) if i not in gone)
    assert left == {"cat": 20, "dog": 20}
    wanted = balance(Balance(column="label", by="leave", to={"cat": 0.75, "dog": 0.25}), values)
    assert Counter(v for i, v in enumerate(values) if i not in wanted) == {"cat": 60, "dog": 20}
    with pytest.raises(ValueError, match="it has no share for label=dog"):
        balance(Balance(column="label", to={"cat": 1}), values)


def test_the_forgotten_are_named_by_file_or_by_the_id_that_they_had(tmp_path) -> None:
    rule = Forget(ids=["a", "raw.jsonl:7"])
    assert says(rule) == Leave("to be forgotten", "a")
    assert rule(Example("b", "text", {"id": "raw.jsonl:7"})).value == "raw.jsonl:7"
    assert rule(Example("b", "text", {"id": "raw.jsonl:71"})) is None
    (tmp_path / "ids.txt").write_text("x\n\n a \n")
    assert says(Forget(ids=str(tmp_path / "ids.txt"))) == Leave("to be forgotten", "a")
    for ids in ([], "gone.txt"):
        with pytest.raises(ValueError, match="ids"):
            Forget(ids=ids)
