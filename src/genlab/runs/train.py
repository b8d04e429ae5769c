"""`genlab train`: assemble a run from settings, fit it, measure it, say where to look.

Order: settle -> check -> folder -> data -> model -> weights -> provenance -> fit -> evaluate ->
report. Weights come from, first that applies: 1. the newest valid checkpoint of `resume`; 2.
`init_from`, with a fresh optimiser and clock; 3. scratch, seeded by `seed`.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genlab.clock import steps
from genlab.data.files import no_downloads
from genlab.runs.devices import ranks, signals
from genlab.runs.devices.denormals import flushed
from genlab.runs.devices.memory import checkpoint_size
from genlab.runs.devices.processes import processes_here
from genlab.runs.first_stage import train_first
from genlab.runs.folder.layout import (
    check_room,
    claim,
    find_run,
    read_json,
    remove_empty,
    tidy,
    write_json,
    write_settings,
    write_yaml,
)
from genlab.runs.folder.resume import (
    check_data,
    continue_ledger,
    ended_at_once,
    holds_this_run,
    measured,
    newest_saved,
    pruned,
    read_overrides,
    resumed_settings,
    trained,
)
from genlab.runs.folder.trained_on import trained_on
from genlab.runs.gate import classes
from genlab.runs.say.answer import answer
from genlab.runs.say.errors import NO_MEMORY, USER, UserError, is_users, root_cause
from genlab.runs.say.secrets import redact
from genlab.runs.say.terminal import quiet, say
from genlab.runs.settings import compose
from genlab.runs.settings.plan import Plan, at, metric_places
from genlab.runs.sweeps.cells import note_failure, own_words
from genlab.shown import one_line

codes: list[int] = []  # exit codes of the jobs that ran in this process


def job(cfg: DictConfig) -> int:
    """One job of Hydra's: a run, or one cell of a sweep, whose failure does not end the others."""
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    words, folder = list(hydra.overrides.task), Path(hydra.runtime.output_dir)
    alone = hydra.mode.name == "RUN"
    cell = "" if alone else f"cell {own_words(folder, words)}: "
    told = None if alone else (lambda line: note_failure(folder, words, line))
    code = answer(lambda: main(cfg), words, cell=cell, told=told)
    if code > 128:  # a signal ends a sweep, not only the cell it came in
        raise SystemExit(code)
    codes.append(code)
    return code


def one(words: Sequence[str], *own: Path) -> Path:
    """The run of these words, and its folder; `own` are folders of --config-dir.

    As Hydra's `run` does it, which composes twice: once more to see whether it is a sweep.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import open_dict, read_write

    cfg = compose.composed(words, *own)
    HydraConfig.instance().set_config(cfg)  # the run's name asks it for the options chosen
    run = Path(cfg.hydra.run.dir)
    with read_write(cfg.hydra), open_dict(cfg):
        cfg.hydra.runtime.output_dir, cfg.hydra.mode = str(run), RunMode.RUN
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    run.mkdir(parents=True, exist_ok=True)
    main(cfg)
    return find_run(cfg.resume) if cfg.resume else run


def main(cfg: DictConfig) -> None:
    """A run, from its composed config."""
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    try:
        _run(cfg, hydra)
    finally:
        if hydra.mode.name == "RUN":
            remove_empty(Path(hydra.runtime.output_dir))  # Hydra has made it beforehand


def _run(cfg: DictConfig, hydra: Any) -> None:
    overrides = list(hydra.overrides.task)
    said = {o.lstrip("+").partition("=")[0] for o in overrides}
    if cfg.trust and "trust" not in said:
        raise UserError("trust: only the command line may name trusted packages, no file")
    resume = cfg.get("resume")
    if resume and "resume" not in said:
        raise UserError(f"resume={resume}: only the command line may continue a run, no file")
    if resume and hydra.mode.name != "RUN":
        raise UserError("resume: one run goes on at a time; leave out -m")
    if resume:
        run = find_run(resume)
        settings = resumed_settings(run, overrides, OmegaConf.to_container(cfg.logger))
        asked = {**settings, "trust": list(cfg.trust)}
        plan = compose.checked(asked, overrides, here=True)
        less = plan.settings != asked  # something in the folder reached beyond it
    else:
        if hydra.mode.name != "RUN" and {"init_from=last", "codec=last"} & set(overrides):
            raise UserError(
                "init_from=last, codec=last: in a sweep the last run would be the cell before;"
                " name the run's folder"
            )
        train_first(cfg, hydra)
        plan, less = compose.settle(cfg, overrides, dict(hydra.runtime.choices), here=True), False
        run = Path(hydra.runtime.output_dir)
    training = Training(plan, run)
    quietly = no_downloads() if resume else contextlib.nullcontext()
    changes = [o for o in overrides if not o.startswith("resume=")] if resume else overrides
    if ranks.rank_here():
        training.launch(resume=ranks.follow(run))
        return
    with claim(run):
        tidy(run)
        if not resume and holds_this_run(run, plan.settings):
            resume, changes = str(run), []
        if not resume or changes or less:  # a resumed run keeps what its folder says
            write_settings(run, redact(plan.settings))
            before = read_overrides(run) if resume else []
            write_yaml(run / "overrides.yaml", redact([*before, *changes]))
        ranks.announce(run, resume=bool(resume))
        try:
            with quietly:
                training.launch(resume=bool(resume))
        except (Exception, SystemExit) as error:
            ends = isinstance(error, SystemExit)
            refused = error.code == USER if ends else is_users(root_cause(error))
            refused |= not ends and not (run / "metrics.jsonl").exists()
            # refused before anything was learnt (data that is not there, a shape that is not so)
            if refused and not resume and hydra.mode.name == "RUN" and not trained(run):
                shutil.rmtree(run, ignore_errors=True)
            raise


@dataclass
class Training:
    """A run in its folder: what it is to be, and the way from there to its report."""

    plan: Plan
    run: Path

    def launch(self, *, resume: bool) -> None:
        """Fit in this process, or in one process per device where several are asked for."""
        from genlab.runs.devices.processes import supervise

        num, logs = processes_here(self.plan["trainer"]), None
        if num > 1:
            supervise(self.run, num, resume=resume, trust=self.plan.trust)
        else:
            logs = self.fit(resume=resume)
        if ranks.rank_here() == 0:
            self.finish(logs)

    @flushed()
    def fit(self, *, resume: bool) -> list:
        """Build everything and train to the end of the budget; gives the loggers, to be closed."""
        began = time.monotonic()
        if ranks.rank_here() == 0:
            say(f"genlab: {self.plan['name']} in {self.run}")
        import pytorch_lightning as pl

        from genlab.metrics.several import rehearse
        from genlab.runs.latents import keep_latents

        quiet()
        pl.seed_everything(self.plan["seed"], verbose=False)
        checkpoint, held, notices = newest_saved(self.run) if resume else (None, {}, [])
        with saying_what_fits(self.plan):
            data, model, trainer = self.assemble(began=began, initialise=checkpoint is None)
        # two, and the best for each, are kept while another is written; those there make room
        there = len(list((self.run / "checkpoints").glob("*.ckpt")))
        most = 5 if (at(self.plan.settings, "callbacks.checkpoint") or {}).get("best") else 3
        check_room(self.run, max(1, most - there) * checkpoint_size(trainer, model))
        if checkpoint is not None:
            check_data(self.run, data)
            done = held["clock"]
            if done["examples"] >= self.plan["budget"]["examples"]:
                say(
                    f"genlab: {self.run} is finished ({done['examples']:,} examples seen);"
                    " raise budget.examples to train on"
                )
                return trainer.loggers
        if resume and trainer.is_global_zero:
            continue_ledger(self.run, held, notices)
        held_sets = held.get("genlab", {}).get("trained_on")
        trainer.run.trained_on = held_sets or trained_on(data, model.learnt_before)
        if trainer.is_global_zero:
            if self.plan["evaluate"] and checkpoint is None:
                rehearse(self.plan.metrics(), model, data)  # a faulty metric is refused now
            for line in data.told():
                say(f"genlab: {one_line(line)}")
            record_provenance(self.run, data, model, held.get("clock"), trainer.run.trained_on)
        trained_all = False
        try:
            with saying_what_fits(self.plan):
                if checkpoint is None and trainer.val_check_interval:
                    trainer.validate(model, datamodule=data, verbose=False)  # the baseline
                with saying_what_was_saved(checkpoint, trainer):
                    keep_latents(self.plan, data, model, held)
                    trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
            trained_all = not trainer.interrupted
        except SystemExit as stop:
            if stop.code != 1:  # 1 is Lightning's, where Ctrl-C came twice
                raise
        finally:
            if not trained_all:
                close(trainer.loggers)
        if trainer.interrupted:
            if trainer.is_global_zero:
                say(ended_at_once(self.run, trainer.run.checkpoint))
            raise KeyboardInterrupt
        if trainer.is_global_zero:
            say(f"genlab: trained in {time.monotonic() - began:.0f} s")
        return trainer.loggers

    def assemble(
        self, *, began: float | None = None, initialise: bool = True
    ) -> tuple[Any, Any, Any]:
        """Data, model and trainer, ready to fit; `began`: the start by time.monotonic(), or now."""
        import pytorch_lightning as pl
        import torch
        from lightning_fabric.utilities.exceptions import MisconfigurationException

        from genlab.callbacks.budget import Budget
        from genlab.callbacks.run import Run
        from genlab.metrics.base import FEW
        from genlab.runs.devices.memory import check_batch
        from genlab.runs.devices.precision import settled
        from genlab.runs.folder.background import AtomicCheckpointIO
        from genlab.runs.say.dashboard import loggers

        check_batch(self.plan)
        data = self.plan.data()
        data.prepare()
        data.load()
        torch.manual_seed(self.plan["seed"])
        model = self.plan.model(initialise=initialise)
        if initialise:
            model.calibrate(data.train_batch(k) for k in itertools.count())
        budget, looks, options = self.plan["budget"], self.plan["look_every"], self.plan["trainer"]
        looks = min(looks, budget["examples"]) if looks else None  # at least one
        named = self.plan.all("callbacks")
        for name, callback in named.items():
            if not isinstance(callback, pl.Callback):
                kind = type(callback).__name__
                raise UserError(f"callbacks.{name}: a {kind} is no callback of Lightning's")
        callbacks = list(named.values())
        if minutes := budget.get("minutes"):
            places = metric_places(self.plan["evaluate"] and self.plan.get("metric")).values()
            num = sum(at(self.plan.settings, p).get("num_samples") or FEW for p in places)
            callbacks.insert(0, Budget(minutes, began=began or time.monotonic(), num_samples=num))
        settings, own = redact(self.plan.settings), {}
        if model.steps_itself:
            own["clip"] = None  # it clips for itself
        if options["precision"] == "auto":
            own["precision"] = settled(self.run, options, model, data, trained=not initialise)
        try:
            trainer = self.plan.build(
                "trainer",
                **own,
                max_steps=steps(budget["examples"], data.batch_size),
                look_every_steps=steps(looks, data.batch_size) if looks else None,
                callbacks=callbacks,
                loggers=loggers(self.plan, self.run, settings),
                plugins=[AtomicCheckpointIO()],
            )
        except (MisconfigurationException, ValueError, RuntimeError, ImportError) as error:
            said = " ".join(str(error).split())
            raise UserError(f"trainer (devices, accelerator, strategy): {said}") from error
        trainer.run = Run(self.run, settings, watched=signals.WATCHED, others=signals.others)
        if trainer.compiles:
            model.compile_networks()
        return data, model, trainer

    def finish(self, logs: list | None = None) -> None:
        """Measure, report, and tell where everything is; the loggers are closed."""
        try:
            log_film(self.run, logs or [])
            wanted = self.plan["evaluate"] and self.plan.get("metric") and not pruned(self.run)
            if wanted and not measured(self.run):
                from genlab.runs.evaluate import evaluate_at_end

                evaluate_at_end(self.run, self.plan, logs=logs)
        finally:
            close(logs or [])
        from genlab.runs.page.write import write_report
        from genlab.runs.say.summary import print_summary

        report = write_report(self.run)
        print_summary(self.run, report, self.plan.trust)


def log_film(run: Path, logs: list) -> None:
    """The film of the looks, to the loggers that take one."""
    from genlab.runs.page.film import write_film
    from genlab.runs.page.record import read_record

    taking = [logger for logger in logs if hasattr(logger, "log_video")]
    if taking and (path := write_film(read_record(run))):
        for logger in taking:
            logger.log_video("film", [str(path)], format=["gif"])


def close(loggers: list) -> None:
    for logger in loggers:
        logger.close()


class OutOfMemory(RuntimeError):
    """A batch did not fit."""

    exit_code = 1


@contextlib.contextmanager
def saying_what_fits(plan: Plan) -> Iterator[None]:
    """Turn an error of memory, in a step or in the steps that try precisions, into a remedy."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(w in str(error) for w in NO_MEMORY):
            raise
        batch, parts = plan["data"]["batch_size"], 2 * plan["trainer"]["accumulate"]
        first = (str(error).strip() or "no memory left").splitlines()[0]
        line = f"out of memory in a batch of {batch} ({first[:160]}): try data.batch_size="
        line += str(max(1, batch // 2))
        if not classes.find(plan["model"]["_target_"], plan.trust, "model").steps_itself:
            line += f", or the same batch in parts by trainer.accumulate={parts}"
        raise OutOfMemory(line) from error


@contextlib.contextmanager
def saying_what_was_saved(checkpoint: Path | None, trainer: Any) -> Iterator[None]:
    """Turn an error while a checkpoint is put back, before any step, into a line about the file."""
    try:
        yield
    except (LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        if checkpoint is None or trainer.run.began or any(w in str(error) for w in NO_MEMORY):
            raise
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"{checkpoint} does not fit this run: {type(error).__name__}: {said}; remove it, and"
            " the run goes on from the one before"
        ) from error


def record_provenance(
    run: Path, data: Any, model: Any, clock: dict[str, int] | None, sets: list[dict]
) -> None:
    """provenance.json; a run resumed from `clock` adds an entry to it."""
    from genlab.runs.folder.provenance import provenance, with_resume

    path, overrides = run / "provenance.json", read_overrides(run)
    if clock and (before := read_json(path)):  # torn or lost: written anew
        write_json(path, with_resume(before, overrides, run, clock["examples"]))
        return
    write_json(
        path,
        provenance(
            overrides,
            parameters=sum(p.numel() for p in model.parameters()),
            data=data.size(),
            data_fingerprint=data.fingerprint(),
            trained_on=sets,
            seed=model.seed,
        ),
    )
