"""How quick training steps are: images or tokens a second, share of the card's peak, memory.

    python scripts/bench/throughput.py unet dit gpt vae --device cuda
    python scripts/bench/throughput.py gpt --device cpu --small --seconds 1

A line of JSON for each model, precision and compile=false|true. A step is genlab's loss, backward
and update on one batch that stays on the device. FLOPs are torch's own count of matrix products and
convolutions, forth and back, at 2 a multiplication, attention in full though it is causal; MFU is
their rate over the card's stated peak.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

IMAGE = ["data=cifar10", "model=diffusion", "data.batch_size=256"]
TEXT = ["data=shakespeare", "model=autoregressive", "data.vocab=50304"]
MODELS = {
    "unet": [*IMAGE, "net.width=192", "net.blocks=2", "net.multipliers=[1,2,2]", "net.head_dim=64"],
    "dit": [*IMAGE, "net=dit", "net.width=768", "net.depth=12", "net.heads=12"],
    "gpt": [*TEXT, "data.block=1024", "data.batch_size=16",
            "net.width=768", "net.depth=12", "net.heads=12"],
    "vae": ["data=cifar10", "model=vae", "data.batch_size=1024",
            "net.encoder.width=128", "net.decoder.width=128"],
}  # fmt: skip
SMALL = {
    "unet": ["net.width=16", "net.blocks=1", "net.head_dim=16", "data.batch_size=2"],
    "dit": ["net.width=32", "net.depth=2", "net.heads=2", "data.batch_size=2"],
    "gpt": ["net.width=32", "net.depth=2", "net.heads=2", "data.vocab=64", "data.block=32",
            "data.batch_size=2"],
    "vae": ["net.encoder.width=8", "net.decoder.width=8", "data.batch_size=2"],
}  # fmt: skip
PRECISIONS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16, "32-true": None}
# TFLOP/s without sparsity: 16-bit tensor cores, TF32. Not yet compared with the data sheets: do so
# before an MFU is quoted
PEAKS = {
    "H200": (989, 494), "H100 PCIe": (756, 378), "H100": (989, 494), "A100": (312, 156),
    "L40S": (362, 183), "L4": (121, 60), "A10G": (70, 35), "RTX 4090": (165, 83),
}  # fmt: skip


def peak(device: str, precision: str) -> float | None:
    """The card's stated TFLOP/s, or None; float32's is TF32's, in which convolutions run."""
    if device == "cpu":
        return None
    name = torch.cuda.get_device_name()
    found = next((v for k, v in PEAKS.items() if all(w in name for w in k.split())), None)
    return found[precision == "32-true"] if found else None


def built(words: list[str], device: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """The model that the words compose, and a batch of noise of its shape."""
    from genlab.runs.settings.compose import plan_of

    plan = plan_of([*words, "logger=none"])[0]
    torch.manual_seed(0)
    model, data = plan.model().to(device).train(), plan["data"]
    size = [data["batch_size"], *data["shape"]]
    if model.takes == "tokens":
        return model, {"x": torch.randint(data["vocab"], size, device=device)}
    x = 2 * torch.rand(size, device=device) - 1
    return model, {"x": x, "cond": torch.randint(data["num_classes"], size[:1], device=device)}


def flops(model: Any, batch: dict[str, torch.Tensor]) -> float:
    """Of a step, counted on two of its examples; attention without what kernels compute twice."""
    two = {k: v[:2] for k, v in batch.items()}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.loss(two)["loss"].mean().backward()
    model.zero_grad()
    return counter.get_total_flops() / len(two["x"]) * len(batch["x"])


def stepping(model: Any, batch: dict, device: str, precision: str) -> Callable[[], None]:
    """A whole training step."""
    kind = PRECISIONS[precision]
    optimizer = model.optim.build(model)
    scaler = torch.amp.GradScaler(device, enabled=kind is torch.float16)

    def step() -> None:
        with torch.autocast(device, kind, enabled=kind is not None):
            loss = model.loss(batch)["loss"].mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def step_seconds(step: Callable[[], None], device: str, seconds: float) -> float:
    """The median over groups of steps, after three that warm up and compile."""
    for _ in range(3):
        step()
    took, number, until = [], 1, None
    while until is None or time.perf_counter() < until:
        _wait(device)
        began = time.perf_counter()
        for _ in range(number):
            step()
        _wait(device)
        took.append((time.perf_counter() - began) / number)
        if until is None:  # groups of a tenth of the time
            number, until = max(1, int(seconds / 10 / took[0])), time.perf_counter() + seconds
            took = [] if number > 1 else took
    return statistics.median(took)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def measured(words: list[str], device: str, precision: str, compiled: bool, seconds: float) -> dict:
    """One row; a batch that does not fit the memory is halved, and the row says its size."""
    model, batch = built(words, device)
    count = flops(model, batch)
    if compiled:
        model.compiled = True
        for child in model.children():
            if any(True for _ in child.parameters()):
                child.compile()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    took = step_seconds(stepping(model, batch, device, precision), device, seconds)
    units = batch["x"].numel() if model.takes == "tokens" else len(batch["x"])
    rate, top = count / took / 1e12, peak(device, precision)
    return {
        "batch": len(batch["x"]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "step_ms": 1000 * took,
        "per_second": units / took,
        "unit": "tokens" if model.takes == "tokens" else "images",
        "tflops": rate,
        "peak_tflops": top,
        "mfu": rate / top if top else None,
        "memory_gib": torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None,
    }


def rows(
    names: list[str], *, device: str, small: bool, seconds: float, compiles: list[bool]
) -> Iterator[dict]:
    for name in names:
        words = [*MODELS[name], *(SMALL[name] if small else [])]
        for compiled in compiles:  # what takes long comes last
            for precision in PRECISIONS:
                row = {"model": name, "precision": precision, "compile": compiled}
                torch._dynamo.reset()
                try:
                    yield row | fitting(words, device, precision, compiled, seconds)
                except Exception as error:  # one row's failure is a row
                    said = " ".join(str(error).split())[:200]
                    yield row | {"error": f"{type(error).__name__}: {said}"}


def fitting(words: list[str], device: str, precision: str, compiled: bool, seconds: float) -> dict:
    """`measured`, with the batch halved until it fits."""
    size = int(next(w for w in reversed(words) if w.startswith("data.batch_size=")).split("=")[1])
    words = [w for w in words if not w.startswith("data.batch_size=")]
    while True:
        try:
            return measured(
                [*words, f"data.batch_size={size}"], device, precision, compiled, seconds
            )
        except torch.cuda.OutOfMemoryError:
            if size == 1:
                raise
        size //= 2
        torch.cuda.empty_cache()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="tiny models, for a CPU")
    parser.add_argument("--seconds", type=float, default=3.0, help="that each row is measured")
    parser.add_argument("--compile", default="both", choices=["both", "on", "off"])
    a = parser.parse_args()
    if unknown := set(a.models) - set(MODELS):
        parser.error(f"{', '.join(unknown)}: allowed: {', '.join(MODELS)}")
    compiles = {"both": [False, True], "on": [True], "off": [False]}[a.compile]
    common = {"device": a.device, "small": a.small, "seconds": a.seconds, "compiles": compiles}
    for row in rows(a.models, **common):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
