"""What all tests share: small threads, offline dashboards, outputs in a temporary folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("OMP_NUM_THREADS", "2")
ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"


@pytest.fixture(autouse=True)
def _outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("GENLAB_CACHE", os.environ.get("GENLAB_CACHE", str(ROOT / ".cache")))


@pytest.fixture(autouse=True)
def _seed() -> None:
    """What a test draws does not depend on which tests this process ran before it."""
    import torch

    torch.manual_seed(0)


@pytest.fixture
def data_root() -> Path:
    """The folder of small real data sets; tests that need it skip where it is absent."""
    root = os.environ.get("GENLAB_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("GENLAB_DATA does not name the folder of data sets")
    return Path(root)


# --- tests/gpu: they skip where there is no GPU; GENLAB_GPU_TESTS=cpu tests the tests there ------


@pytest.fixture(scope="session")
def device() -> str:
    """Where these tests run: "cuda", or "cpu" where GENLAB_GPU_TESTS says so."""
    if os.environ.get("GENLAB_GPU_TESTS") == "cpu":
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    return "cuda"


@pytest.fixture
def here(device: str) -> list[str]:
    """The words that bring a tiny run onto the device."""
    return [f"trainer.accelerator={device}", "callbacks.look.num=2"]
