"""Tests of what only a GPU shows: `pytest -m gpu`; they skip where there is none.

GENLAB_GPU_TESTS=cpu runs them on the CPU, where they test the tests: fp16 is bf16 there, NCCL gloo.
"""

from __future__ import annotations

import os

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> str:
    """Where these tests run: "cuda", or "cpu" where GENLAB_GPU_TESTS says so."""
    if os.environ.get("GENLAB_GPU_TESTS") == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    return "cuda"


@pytest.fixture
def here(device: str) -> list[str]:
    """The words that bring a tiny run onto the device."""
    return [f"trainer.accelerator={device}", "callbacks.look.num=2"]
