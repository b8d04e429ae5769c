"""genlab: one contract for every family of generative model and every kind of data.

`genlab.load(path)` gives the trained model back from a run folder, a checkpoint or an exported
folder. Everything else is reached by its module, or from YAML by the command `genlab`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genlab.lean import install

if TYPE_CHECKING:
    from genlab.models.base import GenerativeModel

install()
__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: str | Path, *, trust: tuple[str, ...] = ()) -> GenerativeModel:
    """The trained model in evaluation mode, from a run folder, a checkpoint or an exported folder.

    `trust` names packages, beside genlab, whose classes the file may name; none by default.
    """
    from genlab.runs.folder.load import load_model  # torch is imported only when it is needed

    return load_model(path, trust=trust)
