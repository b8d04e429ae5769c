"""The command lines of sample, evaluate, report and export: what is taken, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from running import fit, genlab_here
from safetensors.torch import load_file

from genlab.runs.say.errors import UserError
from genlab.runs.settings.overrides import parse, read_value, writable

pytestmark = pytest.mark.whole

RUNS = {
    "images": ["data=digits", "model=diffusion", "net=mlp", "net.width=16"],
    "points": ["data=ring", "model=gan", "net=mlp_gan"],
    "text": ["data=text_file", "model=autoregressive", "net=gru", "net.width=16", "data.block=16"],
}
TYPED = [
    "ROMEO:", "yes", "null", "0x10", "12.50", "import os # x", "def ", "- item", "{a", "*a", "'a'",
    "a: b: c", "a=b", "[1, 2]", "${x}", "a,b", "", "1e30", "/a/b=c", "\n", "@", "%", "&a !b | > `",
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    book = folder / "book.txt"
    book.write_text("".join(map(chr, range(32, 127))) + "\n" + "To be, or not to be. " * 200)
    text = [*RUNS["text"], f"data.path={book}"]
    found = {k: fit(text if k == "text" else v, folder / k) for k, v in RUNS.items()}
    done = genlab_here("export", f"run={found['points']}", f"to={folder / 'export'}")
    assert done.returncode == 0, done.stderr
    return {**found, "export": folder / "export"}


@pytest.mark.parametrize("text", TYPED)
def test_texts_are_taken_as_they_are_typed(text: str) -> None:
    assert parse("sample", ["run=r", f"prompt={text}"])[0]["prompt"] == text
    if text:
        assert parse("sample", ["run=r", f"to={text}"])[0]["to"] == (
            None if text == "null" else text
        )
        assert parse("evaluate", [f"run={text}"])[0]["run"] == text


def test_a_prompt_is_what_the_sample_begins_with(runs, tmp_path: Path) -> None:
    for prompt in (p for p in TYPED if p.isascii()):
        words = ["sampler.length=32", "num=1", f"to={tmp_path}", f"prompt={prompt}"]
        done = genlab_here("sample", f"run={runs['text']}", *words)
        assert done.returncode == 0, done.stderr
        stem = Path(done.stderr.partition("to look at")[2].splitlines()[0].strip())
        assert stem.read_text().startswith(prompt), prompt
    assert len(list(tmp_path.glob("*.txt"))) == len(TYPED)


def test_numbers_are_read_as_hydra_reads_them() -> None:
    typed = {"3e-4": 3e-4, "1e-1": 0.1, "1e30": 1e30, "400_000": 400_000, "12.50": 12.5, "-1": -1}
    for text, value in typed.items():
        assert read_value("x", text) == value and type(read_value("x", text)) is type(value)
    for text in ("a(b", "9" * 5000, "1,2", "[1", "choice(1,2)"):
        with pytest.raises(UserError, match="x="):
            read_value("x", text)


WORDS = ("2.5", "true", "null", "[1]", "", "x")
LABELS = ("[]", "1.5", "true", "", "[null]")
# run, words, and what the one line says
REFUSED = [
    *(("images", f"num={v}", "num=", "whole number") for v in WORDS),
    ("images", "num=0", "num=0", "at least 1"),
    ("images", "num=1,2", "num=1,2", "sweep"),
    ("images", "num=1_000_000_000_000", "num=1000000000000", "in parts"),
    ("images", f"num={'9' * 30}", "num=999", "at most"),
    ("images", "prompt", "prompt needs a value", "prompt=VALUE"),
    ("images", "first=-1", "first=-1", "at least 0"),
    ("images", "seed=1e3", "seed=1e3", "whole number"),
    ("images", "seed=-1", "seed=-1", "at least 0"),
    ("images", "batch_size=0", "batch_size=0", "at least 1"),
    ("images", "device=gpu", "device=gpu", "cuda:N"),
    ("images", "device=cuda:99", "device=cuda:99", "GPU"),
    *(("images", f"cond={v}", "cond=", "cond=[1,2]") for v in LABELS),
    ("images", "cond=10", "cond=10", "0 to 9"),
    ("images", "cond=x", "cond=x", "0 to 9"),
    ("images", "cond=[1,ten]", "cond=ten", "0 to 9"),
    ("images", "given=a.png", "given=a.png mask=null", "mask=left|right|top|bottom"),
    ("images", "given=a.png mask=top", "given=a.png", "no such file"),
    ("images", "prompt=a", "prompt='a'", "only a model of text"),
    ("points", "given=[1]", "given=[1]", "given=[0.5,null]"),
    ("points", "mask=top", "mask=top", "leave it out"),
    ("text", "given=a.txt", "given=a.txt", "prompt=TEXT"),
    ("text", "cond=1", "cond=1", "without classes"),
    ("images", "to=", "to=", "empty"),
    ("images", "trust=os", "trust=os", "trust=[my_package]"),
    ("images", "sampler=", "sampler=", "heun"),
    ("images", "sampler=[ddim]", "sampler=[ddim]", "ddim"),
    ("images", "sampler=top_p", "Diffusion cannot take Sample", "sampler=ancestral, consistency"),
    ("points", "sampler=heun", "GAN cannot take Heun", "sampler=prior"),
    ("text", "sampler=heun", "Autoregressive cannot take Heun", "greedy, sample, top_k, top_p"),
    ("images", "sampler.num_steps=0", "genlab: sampler.num_steps=0:", "at least 1"),
    ("images", "sampler.num_steps=-3", "genlab: sampler.num_steps=-3:", "at least 1"),
    ("images", "sampler.num_steps=2.5", "sampler.num_steps=2.5", "whole number"),
    ("images", "sampler.num_steps.x=1", "sampler.num_steps", "no knobs"),
    ("images", "sampler.guidance=nan", "sampler.guidance=nan", "finite"),
    ("images", "sampler.guidance=inf", "sampler.guidance=inf", "finite"),
    ("points", "sampler.temperature=inf", "sampler.temperature=inf", "finite"),
    ("points", "sampler.noise=3", "sampler.noise=3", "true or false"),
    ("points", "sampler.truncation=wide", "truncation=wide", "number or null"),
    ("images", "sampler._target_=os.system", "os.system", "trust"),
    ("points", "cond=1", "cond", "without classes"),
    ("points", "prompt=a", "prompt", "model of text"),
    ("text", "sampler.length=3 prompt=house", "sampler.length=3", "more than 5"),
    ("images", "data=mnist", "has no 'data'", "sampler"),
    ("images", "metric=text", "has no 'metric'", "device"),
    ("images", "temperature=0.5", "has no 'temperature'", "sampler.temperature"),
    ("images", "to=x.png", "to=x.png", "name a folder"),
    ("images", "-m", "-m", "no flags"),
    ("images", "num=1 num=2", "num is given twice", "takes one"),
    ("images", "elsewhere", "run is given twice", "takes one"),
]  # fmt: skip
REFUSED_TO_MEASURE = [
    ("images", "seed=x", "seed=x", "whole number"),
    ("images", "device=tpu", "device=tpu", "auto"),
    ("images", "num=3", "has no 'num'", "metric"),
    ("images", "metric.num_samples=2.5", "metric.num_samples=2.5", "whole number"),
    ("images", "metric.num_samples=0", "metric.num_samples=0", "or more"),
    ("images", "metric.k=0", "metric.k=0", "1 or more"),
    ("images", "metric.pairs=0", "metric.pairs=0", "1 or more"),
    ("points", "metric.likelihood_examples=-1", "likelihood_examples=-1", "1 or more"),
    ("images", "metric=points", "metric=points", "image"),
    ("images", "metric=text", "metric=text", "image"),
    ("images", "data=mnist", "data=mnist: its shape is [1,28,28]", "[1,8,8]"),
    ("images", "data.limit=few", "data.limit=few", "whole number or null"),
    ("points", "sampler=heun", "GAN cannot take Heun", "prior"),
    ("export", "seed=1", "export", "run folder"),
]


@pytest.mark.parametrize(
    ("command", "kind", "words", "what", "remedy"),
    [("sample", *case) for case in REFUSED] + [("evaluate", *case) for case in REFUSED_TO_MEASURE],
)
def test_what_is_wrong_is_refused_in_one_line(command, kind, words, what, remedy, runs) -> None:
    before = sorted(runs[kind].rglob("*"))
    done = genlab_here(command, f"run={runs[kind]}", *words.split(" "))
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("genlab: ") and not done.stdout
    assert what in done.stderr and remedy in done.stderr, done.stderr
    assert sorted(runs[kind].rglob("*")) == before


def test_report_and_export_take_only_their_own(runs, tmp_path: Path) -> None:
    for line in ("report num=3", "report a b", "report", "export run=a", "export to=a", "sample"):
        words = line.split()
        done = genlab_here(*words)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr


def test_where_nothing_can_be_written(runs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear")
    for to in ("file", "file/below"):
        for command in ("sample", "evaluate"):
            done = genlab_here(command, f"run={runs['points']}", f"to={tmp_path / to}")
            assert done.returncode == 2 and "is a file" in done.stderr, done.stderr
    with pytest.raises(UserError, match="cannot be written in"):
        writable(Path("/proc/nope"))
    assert writable(tmp_path / "new") and not list(tmp_path.glob("*genlab*"))
    alone = shutil.copy(next((runs["points"] / "checkpoints").glob("*.ckpt")), tmp_path / "a.ckpt")
    done = genlab_here("sample", f"run={alone}", "num=2")
    assert done.returncode == 2 and "to=FOLDER" in done.stderr, done.stderr


def test_a_path_with_an_equals_sign_needs_no_key(runs, tmp_path: Path) -> None:
    checkpoint = next((runs["points"] / "checkpoints").glob("*.ckpt"))
    assert "=" in checkpoint.name
    done = genlab_here("sample", str(checkpoint), "num=2", f"to={tmp_path}")
    assert done.returncode == 0, done.stderr


def test_options_come_before_knobs(runs, tmp_path: Path) -> None:
    words = [f"run={runs['images']}", "num=4", f"to={tmp_path}"]
    for more in (["sampler=ddim", "sampler.num_steps=3"], ["sampler.num_steps=3", "sampler=ddim"]):
        assert genlab_here("sample", *words, *more).returncode == 0
    assert len(list(tmp_path.glob("*.png"))) == 1
    done = genlab_here("sample", *words, "sampler.S_max=inf")
    assert done.returncode == 0, done.stderr


def test_other_samples_have_another_name_and_the_same_have_the_same(runs, tmp_path: Path) -> None:
    run, asked = runs["images"], ["num=3", f"to={tmp_path}"]
    steps = "sampler.num_steps=3"
    others = [
        "first=1",
        "cond=1",
        "cond=[1,2]",
        "sampler=ddim",
        steps,
        f"{steps} sampler.guidance=2",
    ]
    for i, more in enumerate(([], *(other.split() for other in others))):
        for _ in range(2):
            done = genlab_here("sample", f"run={run}", *asked, *more)
            assert done.returncode == 0, done.stderr
        assert len(list(tmp_path.glob("*.png"))) == i + 1
    older = min((run / "checkpoints").glob("*.ckpt"))
    assert genlab_here("sample", f"run={older}", *asked).returncode == 0
    assert len(list(tmp_path.glob("*.png"))) == 8
    x = [load_file(p)["x"] for p in sorted(tmp_path.glob("*.safetensors"))]
    assert all(not a.equal(b) for i, a in enumerate(x) for b in x[:i])
    assert all(len(p.name) < 130 for p in tmp_path.iterdir())


def test_a_picture_of_the_first_samples_says_so(runs, tmp_path: Path) -> None:
    words = [f"run={runs['points']}", f"to={tmp_path}"]
    assert "the first 10,000 of 10,001" in genlab_here("sample", *words, "num=10_001").stderr
    assert "the first" not in genlab_here("sample", *words, "num=256").stderr
