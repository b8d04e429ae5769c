"""trainer=fsdp: each process keeps its share of weights, averages and optimiser, by FSDP2.

Read: `shard` says what is cut up: every network of the model and, within it, every block of a list
of blocks, whose weights are gathered only while it runs. Parameters keep their names and shapes,
and a checkpoint is gathered into the file that any other trainer writes. What FSDP2 cannot cut
(numbers without a dimension, what belongs to no forward pass) is whole everywhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.distributed import ReduceOp, all_reduce
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import get_total_norm
from torch.utils._pytree import tree_map_only

from genlab.models.loop import networks


class Sharded(DDPStrategy):
    """Data parallel over the processes of DDP, with the weights shared out among them."""

    sharded = True  # a forward pass is everybody's: looks draw on all ranks

    def setup(self, trainer: pl.Trainer) -> None:
        if not self.lightning_module.automatic_optimization:
            raise ValueError("trainer.strategy=fsdp: this model steps by itself; write trainer=ddp")
        # their mean and log-variance are halves of one tensor, which nothing writes into
        nets = r"\w*Encoder|Rung|Stage|\w*TopDown"
        warnings.filterwarnings("ignore", message=rf"FSDP2-wrapped module \(FSDP({nets})\)")
        self.accelerator.setup(trainer)
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        averages = [getattr(c, "_average_model", None) for c in trainer.callbacks]
        for model in [self.model, *(a.module for a in averages if a is not None)]:
            self.precision_plugin.convert_module(model)
            shard(model, mesh)
            model.to(self.root_device)
        if trainer.state.fn == TrainerFn.FITTING:
            self.setup_optimizers(trainer)
            for optimizer in self.optimizers:
                part_groups(optimizer)
        self.setup_precision_plugin()

    def post_backward(self, closure_loss: Tensor) -> None:
        """FSDP2 has averaged the shards' gradients; here, those of what is whole.

        For each part of an accumulated batch: the mean of a mean and what was added is right too.
        """
        for p in self.lightning_module.parameters():
            if p.grad is not None and not isinstance(p, DTensor):
                all_reduce(p.grad)
                p.grad.div_(self.world_size)

    def clip_grad_norm(self, params: Iterable[nn.Parameter], most: float) -> None:
        """Bound the norm of all gradients together, each process holding some."""
        grads = [p.grad for p in params if p.grad is not None]
        shards = [g.to_local() for g in grads if isinstance(g, DTensor)]
        whole = [g for g in grads if not isinstance(g, DTensor)]
        square = get_total_norm(shards).to(self.root_device) ** 2
        all_reduce(square, ReduceOp.SUM)
        norm = (square + get_total_norm(whole).to(square) ** 2).sqrt()
        torch._foreach_mul_([*shards, *whole], (most / (norm + 1e-6)).clamp(max=1.0))

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None
    ) -> None:
        whole = gathered(checkpoint, keep=self.is_global_zero)
        super().save_checkpoint(whole, filepath, storage_options)

    def load_optimizer_state_dict(self, checkpoint: dict[str, Any]) -> None:
        states = [
            {**held, "state": shares(optimizer, held["state"])}
            for optimizer, held in zip(self.optimizers, checkpoint["optimizer_states"], strict=True)
        ]
        super().load_optimizer_state_dict({**checkpoint, "optimizer_states": states})


def shard(model: nn.Module, mesh: DeviceMesh) -> None:
    """Cut up the model's networks, once; block by block, so that no device holds them whole."""
    for _, net in networks(model):
        if not has_forward(net) or isinstance(net, FSDPModule):
            continue
        scalars = {p for p in net.parameters() if p.ndim == 0}
        lists = [m for m in net.modules() if isinstance(m, nn.ModuleList)]
        blocks = [b for m in reversed(lists) for b in m if has_forward(b) and [*b.children()]]
        for module in [*blocks, net]:
            if any(p.ndim for p in module.parameters()):
                # also the outermost: what stays gathered after a look would be stale after a step
                fully_shard(module, mesh=mesh, reshard_after_forward=True, ignored_params=scalars)


def has_forward(module: nn.Module) -> bool:
    return type(module).forward is not nn.Module.forward


def part_groups(optimizer: torch.optim.Optimizer) -> None:
    """Part groups that hold both shards and whole parameters: no fused kernel takes both."""
    for group in list(optimizer.param_groups):
        whole = [p for p in group["params"] if not isinstance(p, DTensor)]
        if whole and len(whole) < len(group["params"]):
            group["params"] = [p for p in group["params"] if isinstance(p, DTensor)]
            optimizer.add_param_group({**group, "params": whole})


def gathered(value: Any, *, keep: bool) -> Any:
    """The same data with whole tensors, on the CPU where `keep`; all processes take part."""

    def whole(shard: DTensor) -> Tensor | None:
        full = shard.full_tensor()
        return full.cpu() if keep else None

    return tree_map_only(DTensor, whole, value)


def shares(optimizer: torch.optim.Optimizer, state: dict[int, Any]) -> dict[int, Any]:
    """This process's share of an optimiser's whole state."""
    params = [p for group in optimizer.param_groups for p in group["params"]]

    def share(p: nn.Parameter, value: Any) -> Any:
        if not isinstance(p, DTensor) or not isinstance(value, Tensor) or value.shape != p.shape:
            return value
        value = value.to(p.device)
        return distribute_tensor(value, p.device_mesh, p.placements, src_data_rank=None)

    return {i: {k: share(params[i], v) for k, v in held.items()} for i, held in state.items()}
