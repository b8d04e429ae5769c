"""Text, measured whole: real continuations score the floor; copies and babble do not."""

from __future__ import annotations

import data_of
import pytest
import torch

from genlab.metrics.report import subset
from genlab.metrics.text import TextEvaluation

from .stand_ins import Handout


@pytest.fixture
def text(tmp_path):
    line = "the {} of {} is never as {} as the {} of it, said number {}.\n"
    words = ["sea", "sun", "law", "war", "end", "art", "sky", "ice", "age", "eye"]
    lines = [
        line.format(*(words[(i // 10**k) % 10] for k in range(4)), i * 7919) for i in range(900)
    ]
    (tmp_path / "lines.txt").write_text("".join(lines))
    data = data_of.text_file(tmp_path / "lines.txt", block=64)
    data.load()
    return data


def test_copied_text_is_found_out_and_held_out_text_scores_the_floor(text):
    copies = text.train.batch(torch.arange(0, 6400, 320), None)["x"]
    report = TextEvaluation(num_samples=20, copy_length=40)(Handout(copies), text)
    assert report.metrics["longest_copy"] == 48
    assert any(report.notes["longest_copy_text"] in t for t in text.decode(copies))
    assert report.metrics["copied_share"] == 1
    assert report.floor["longest_copy"] < 48
    held = text.val.batch(subset(len(text.val) - 1, 20), None)["x"]
    # as the beginning, the window's first 16 tokens; what follows is what really followed
    start = text.val.batch(subset(len(text.val) - 1, 20), None)["start"]
    real = torch.cat([start[:, None], held], 1)
    report = TextEvaluation(num_samples=20)(Handout(real[:, :64]), text)
    for name, value in report.floor.items():
        assert report.metrics[name] == value
    babble = torch.randint(98, 122, (20, 64), generator=torch.Generator().manual_seed(0))
    report = TextEvaluation(num_samples=20)(Handout(babble), text)
    assert report.metrics["known_words"] < 0.1
    assert report.floor["known_words"] > 0.5
    assert report.metrics["longest_copy"] < 8


class Continued(Handout):
    """Notes what it is to continue, and hands out rows that begin so."""

    def sample(self, num, cond=None, given=None, *, seed=0, first=0):
        x = super().sample(num, seed=seed, first=first).clone()
        assert given["mask"].all() and len(given["x"]) == num
        x[:, : given["x"].shape[1]] = given["x"]
        return x


def test_samples_continue_held_out_beginnings_and_only_that_is_compared(text):
    babble = torch.randint(98, 122, (20, 64), generator=torch.Generator().manual_seed(0))
    report = TextEvaluation(num_samples=20, chunk=7)(Continued(babble), text)
    windows = text.val.batch(subset(len(text.val) - 1, 20), None)
    begun = torch.cat([windows["start"][:, None], windows["x"]], 1)[:, :16]
    assert torch.equal(report.pictures["samples"][:, :16], begun)
    assert report.notes["prompt_length"] == 16
    # 16 real tokens of 64 would have made known words, and copies
    assert report.metrics["known_words"] < 0.1
    assert report.metrics["longest_copy"] < 8
    assert report.floor["known_words"] > 0.5


def test_the_share_that_held_out_text_has_in_common_with_train_is_told(text, tmp_path):
    report = TextEvaluation(num_samples=20)(Handout(text.val.batch(torch.arange(20))["x"]), text)
    assert report.metrics["shared_with_train"] == 0
    assert "of the data" in report.remarks["shared_with_train"]

    body = (tmp_path / "lines.txt").read_text()
    tail = body[-len(body) // 10 :]
    (tmp_path / "twice.txt").write_text(tail[:1000] + body)  # the first 1000 of val are in train
    data = data_of.text_file(tmp_path / "twice.txt", block=64)
    data.load()
    held = data.val.batch(torch.arange(20))["x"]
    report = TextEvaluation(num_samples=20)(Handout(held), data)
    num = len(data.decode(data.val.stream[None])[0])
    assert report.metrics["shared_with_train"] == pytest.approx(1000 / num, rel=0.1)


def test_intervals_of_words_hold_the_floor_of_real_text(text):
    ids = subset(len(text.val) - 1, 200)
    report = TextEvaluation(num_samples=40)(Continued(text.val.batch(ids.flip(0))["x"]), text)
    for name in ("known_words", "distinct_2", "copied_share"):
        low, high = report.interval[name]
        assert low <= report.metrics[name] <= high
        assert name in report.floor_interval


def test_a_text_with_one_short_held_out_window_is_measured(tmp_path):
    (tmp_path / "short.txt").write_text("a short text that is all there is. " * 10)
    data = data_of.text_file(tmp_path / "short.txt", block=64)
    data.load()
    assert len(data.val) == 1
    report = TextEvaluation(num_samples=5)(Continued(torch.full((5, 64), 97)), data)
    assert report.metrics["finite_share"] == 1
    assert report.notes["num_floor"] == 1
