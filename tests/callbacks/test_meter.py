"""The meter breaks the silence at a pace that suits the reader; looks are drawn in pieces."""

from __future__ import annotations

import io
import math
import time
from types import SimpleNamespace

import pytest
import torch

from genlab.callbacks import look
from genlab.callbacks.look import Look
from genlab.callbacks.meter import Meter, clock_time


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_a_line_now_and_then(monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr", out := io.StringIO())
    with Meter("measuring", seconds_between_lines=0.05) as told:
        told("drawing", 0.25)
        time.sleep(0.3)
    lines = out.getvalue().splitlines()
    assert 2 <= len(lines) <= 6 and not any("\r" in x or "\x1b" in x for x in lines)
    assert "measuring: drawing · 25% · 0:00 so far · about 0:0" in lines[0]


def test_short_work_says_nothing(monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr", out := io.StringIO())
    with Meter("looking") as told:
        told("drawing", 0.5)
    assert out.getvalue() == ""


def test_a_terminal_gets_one_line_that_rewrites_itself_and_goes(monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr", out := Terminal())
    monkeypatch.setenv("COLUMNS", "30")
    with Meter("measuring") as told:
        told("a part with a very long name indeed", 0.5)
        time.sleep(1.2)
    text = out.getvalue()
    assert "\n" not in text and text.endswith("\r\x1b[K") and text.count("\r") >= 3
    assert all(len(x.removesuffix("\x1b[K")) < 30 for x in text.split("\r"))


def test_time_left_is_that_of_the_part() -> None:
    told = Meter("measuring")
    told._began = 0.0
    told("drawing", 0.25)
    told._part_began, told._told = 60.0, 100.0
    assert "1:40 so far · about 2:00 left of this part" in told.line(100.0)
    assert "about 1:30 left" in told.line(130.0), "it falls until the next share is told"
    told("comparing", 0.0)
    assert "left" not in told.line(100.0), "nothing is known yet"
    assert clock_time(3725) == "1:02:05"


def test_an_error_passes_through_and_ends_the_thread(monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with pytest.raises(KeyboardInterrupt), Meter("measuring") as told:
        raise KeyboardInterrupt
    assert told._thread is not None and not told._thread.is_alive()


class Slow:
    """A model whose samples say which they are; `seconds` each, by a clock of its own."""

    device = torch.device("cpu")

    def __init__(self, monkeypatch, seconds: float) -> None:
        self.sizes, self.now, self.seconds = [], 0.0, seconds
        monkeypatch.setattr(look, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def sample(self, num, cond=None, given=None, *, seed=0, first=0):
        self.sizes.append(num)
        self.now += num * self.seconds
        assert cond is None or len(cond) == num
        return torch.arange(first, first + num)[:, None].float()


def drawn(
    model: Slow, callback: Look, num: int, *, seconds: float = math.inf, together: bool = False,
    stopping: bool = False,
) -> torch.Tensor:  # fmt: skip
    trainer = SimpleNamespace(run=SimpleNamespace(stopping=stopping))
    ends = (lambda since: False) if together else callback._ends(trainer, seconds)
    return callback._draw(model, num, torch.arange(num) % 10, None, together=together, ends=ends)


def test_a_slow_look_is_drawn_in_pieces_that_change_nothing(monkeypatch) -> None:
    model, callback = Slow(monkeypatch, 0.5), Look()
    x = drawn(model, callback, 64)
    assert x[:, 0].tolist() == list(range(64))
    assert model.sizes == [4, 11, 11, 11, 11, 11, 5], "of about 5 seconds each"


def test_a_quick_look_is_drawn_at_once(monkeypatch) -> None:
    model, callback = Slow(monkeypatch, 0.001), Look()
    drawn(model, callback, 16, seconds=5)
    model.sizes.clear()
    drawn(model, callback, 64)
    assert model.sizes == [64]


def test_the_baseline_stops_when_it_takes_too_long(monkeypatch) -> None:
    model, callback = Slow(monkeypatch, 2.0), Look(first_seconds=5)
    assert len(drawn(model, callback, 16, seconds=5)) == 4, "one piece, of 8 seconds"


def test_a_signal_ends_the_drawing_after_a_piece(monkeypatch) -> None:
    assert len(drawn(Slow(monkeypatch, 2.0), Look(), 64, stopping=True)) == 4


def test_a_look_may_take_a_tenth_of_the_minutes() -> None:
    def trainer(**budget) -> SimpleNamespace:
        return SimpleNamespace(run=SimpleNamespace(settings={"budget": budget}))

    assert look.allowed(trainer(minutes=2.0)) == pytest.approx(12)
    assert look.allowed(trainer(minutes=None)) == look.allowed(trainer()) == math.inf


def test_ranks_that_draw_together_never_stop_by_their_own_clocks(monkeypatch) -> None:
    model, callback = Slow(monkeypatch, 2.0), Look(first_seconds=5)
    assert len(drawn(model, callback, 16, seconds=5, together=True)) == 16
    assert model.sizes == [16]


def test_odd_numbers_are_named() -> None:
    with pytest.raises(ValueError, match=r"callbacks\.look\.first=-1"):
        Look(first=-1)
