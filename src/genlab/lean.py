"""A quick start: Lightning imports torchmetrics for two classes, and with it everything it has.

That (and torchvision, scipy.signal and torch._dynamo behind it) is more than a third of what
`import pytorch_lightning` takes. `install` puts the package in place with these two classes alone;
whoever asks it for anything else gets the whole of it, the same objects as ever.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import sys
import types

LIGHTNINGS = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}


class _Lazy(types.ModuleType):
    """torchmetrics, whose own __init__ runs at the first name that is not among LIGHTNINGS."""

    def __getattr__(self, name: str) -> object:
        if name == "__version__":
            return importlib.metadata.version("torchmetrics")
        if name.startswith("__"):
            raise AttributeError(name)
        if name in LIGHTNINGS:
            importlib.import_module("torchmetrics.utilities")  # it and metric import each other
            return getattr(importlib.import_module(LIGHTNINGS[name]), name)
        self.__class__ = types.ModuleType
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def install() -> None:
    """Before pytorch_lightning is imported; does nothing where torchmetrics is there already."""
    if "torchmetrics" in sys.modules:
        return
    spec = importlib.util.find_spec("torchmetrics")
    if spec is None or spec.loader is None:
        return
    module = _Lazy("torchmetrics")
    module.__spec__, module.__path__ = spec, spec.submodule_search_locations
    module.__file__, module.__package__ = spec.origin, "torchmetrics"
    module.__loader__ = spec.loader
    module._logger = logging.getLogger("torchmetrics")  # which metric.py takes from the package
    sys.modules["torchmetrics"] = module
