"""The trainer: Lightning's, with the few arguments that a run needs and sound defaults.

Not passed on: epochs (a run is measured in examples), Lightning's own bar, logger and checkpointing
(genlab's callbacks do these by examples seen), and its sampler replacement (the data module shares
a batch out among ranks itself).
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.profilers import PassThroughProfiler


def fast_bf16(accelerator: str) -> bool:
    """Whether bf16 is quick here: GPUs from Ampere on, CPUs with AVX512-BF16 or AMX."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= (8, 0)
    if accelerator in ("auto", "mps") and torch.backends.mps.is_available():
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


class Trainer(pl.Trainer):
    """Lightning's Trainer for one endless epoch of examples."""

    def __init__(
        self,
        *,
        accelerator: str = "auto",
        devices: int | str | list[int] = 1,
        num_nodes: int = 1,
        strategy: Any = "auto",
        precision: str | int = "auto",
        compile: bool = False,
        accumulate: int = 1,
        clip: float | None = None,
        deterministic: bool = False,
        threads: int | None = None,
        timeout_minutes: float = 10,
        max_steps: int = -1,
        look_every_steps: int | None = None,
        callbacks: list | None = None,
        loggers: list | None = None,
        plugins: list | None = None,
    ) -> None:
        """`accumulate` parts a batch; `clip` bounds the gradient's norm; the run sets the rest."""
        if threads is not None:
            torch.set_num_threads(threads)
        if precision == "auto":
            precision = "bf16-mixed" if fast_bf16(accelerator) else "32-true"
        # batch norm sees the whole batch, as in one process (torch has it on GPUs alone)
        sync_batchnorm = strategy == "ddp" and accelerator != "cpu" and torch.cuda.is_available()
        if isinstance(strategy, str) and strategy in ("ddp", "fsdp"):
            strategy = _strategy(strategy, timeout_minutes)
        for callback in callbacks or []:
            _only_own_hooks(callback)
        if not torch.cuda.is_available():
            # Lightning's import sets it; torch would look for NVIDIA's library in every step
            os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
        self.compiles = compile
        super().__init__(
            accelerator=accelerator,
            devices=devices,
            num_nodes=num_nodes,
            strategy=strategy,
            precision=precision,
            max_epochs=-1,
            max_steps=max_steps,
            val_check_interval=look_every_steps * accumulate if look_every_steps else None,
            check_val_every_n_epoch=None if look_every_steps else 1,
            limit_val_batches=None if look_every_steps else 0,
            num_sanity_val_steps=0,
            accumulate_grad_batches=accumulate,
            gradient_clip_val=clip,
            deterministic=deterministic or None,
            use_distributed_sampler=False,
            sync_batchnorm=sync_batchnorm,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks or []),
            log_every_n_steps=10**9,  # the ledger logs
            callbacks=callbacks,
            logger=loggers or False,
            plugins=plugins,
            profiler=Silent(),
            # weights that FSDP gathers in inference mode could not be trained afterwards
            inference_mode=not getattr(strategy, "sharded", False),
        )


class Silent(PassThroughProfiler):
    """No profile; and no generator made and thrown away around each of a step's 33 parts."""

    nothing = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager:
        return self.nothing


# what Lightning calls on every callback in every step
STEP_HOOKS = (
    "on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
    "on_before_optimizer_step", "on_train_batch_end",
)  # fmt: skip


def _only_own_hooks(callback: pl.Callback) -> None:
    """Hide the step hooks that a callback has not made its own: Lightning skips what is no
    function, and calling the empty ones of eight callbacks takes 0.1 ms a step."""
    for name in STEP_HOOKS:
        if getattr(type(callback), name) is getattr(pl.Callback, name):
            setattr(callback, name, None)


def _strategy(name: str, timeout_minutes: float) -> Any:
    from datetime import timedelta

    from pytorch_lightning.strategies import DDPStrategy

    timeout = timedelta(minutes=timeout_minutes)
    backend = None if torch.cuda.is_available() else "gloo"
    if name == "fsdp":
        from genlab.runs.devices.sharding import Sharded

        return Sharded(process_group_backend=backend, timeout=timeout)
    return DDPStrategy(process_group_backend=backend, timeout=timeout)
