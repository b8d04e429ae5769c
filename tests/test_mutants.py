"""The list of mutants cannot rot: each still changes what it says it changes, and has its tests."""

from __future__ import annotations

import shlex
import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from mutants import listed


def test_every_mutant_changes_the_package_and_has_its_tests() -> None:
    mutants = listed()
    assert len(mutants) >= 150 and len({m.name for m in mutants}) == len(mutants)
    assert len({(m.file, m.old, m.new) for m in mutants}) == len(mutants), "a mutant twice"
    texts = {m.file: (ROOT / "src" / "genlab" / m.file).read_text() for m in mutants}
    for m in mutants:
        assert texts[m.file].count(m.old) == 1, f"{m.name}: {m.file} has not its text once"
        changed = texts[m.file].replace(m.old, m.new)
        assert changed != texts[m.file], f"{m.name} changes nothing"
        compile(changed, m.file, "exec")
        files = [w.partition("::")[0] for w in shlex.split(m.tests) if w.startswith("tests/")]
        assert files and all((ROOT / f).is_file() for f in files), f"{m.name}: {m.tests}"
