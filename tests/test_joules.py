"""Joules by RAPL: counters that start over, parts of a package, and systems that show none."""

from __future__ import annotations

from pathlib import Path

import pytest

from genlab import joules
from genlab.joules import Joules


@pytest.fixture
def rapl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(joules, "RAPL", tmp_path)
    for name, now in (("intel-rapl:0", 9_000_000), ("intel-rapl:1", 5), ("intel-rapl:0:0", 7)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{now}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("10000000\n")
    return tmp_path


def count(rapl: Path, name: str, now: int) -> None:
    (rapl / name / "energy_uj").write_text(str(now))


def test_packages_are_added_up_and_their_parts_are_not_counted_twice(rapl) -> None:
    used = Joules()
    count(rapl, "intel-rapl:0", 9_500_000)
    count(rapl, "intel-rapl:1", 2_000_005)
    count(rapl, "intel-rapl:0:0", 400_007)  # of the cores: it is in the package's own
    assert used.spent() == pytest.approx(2.5)


def test_a_counter_that_starts_over_counts_on(rapl) -> None:
    used = Joules()
    count(rapl, "intel-rapl:0", 1_000_000)
    assert used.spent() == pytest.approx(2.0)
    count(rapl, "intel-rapl:0", 1_500_000)
    assert used.spent() == pytest.approx(2.5)


def test_none_where_there_are_no_counters_or_they_may_not_be_read(rapl, monkeypatch) -> None:
    used = Joules()
    (rapl / "intel-rapl:1" / "energy_uj").write_text("")
    assert used.spent() is None
    monkeypatch.setattr(joules, "RAPL", rapl / "nowhere")
    assert Joules().spent() is None
