"""A quick start: Lightning imports three large packages for a name or two of each.

torchmetrics for two classes (torchvision and scipy.signal come with it), torch._dynamo for a class
that it asks `isinstance` of and a decorator, matplotlib for the type of an argument: together more
than half of what `import pytorch_lightning` takes. `install` has Lightning find these names alone;
whoever asks for anything else gets the whole of each, the same objects as ever.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import math
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

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


class _IsCompiled(type):
    """What torch.compile has wrapped; nothing has been where torch._dynamo was never imported."""

    def __instancecheck__(cls, object: object) -> bool:
        return isinstance(object, getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ()))


class _OptimizedModule(metaclass=_IsCompiled):
    """torch._dynamo.OptimizedModule, for those who only ask whether something is one."""


def _disable(function: Callable, recursive: bool = True, **options: Any) -> Callable:
    """torch._dynamo.disable, which marks what is never compiled: so is all until it is imported."""
    marked: list[Callable] = []

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not marked:
            dynamo = sys.modules.get("torch._dynamo")
            if dynamo is None or isinstance(dynamo, _StandIn):
                return function(*args, **kwargs)
            marked.append(dynamo.disable(function, recursive, **options))
        return marked[0](*args, **kwargs)

    return call


def _plot(*args: object, **options: object) -> object:
    """torchmetrics' own function of the name, found when something is to be plotted."""
    plot = importlib.import_module("torchmetrics.utilities.plot")
    return plot.plot_single_or_multi_val(*args, **options)


IS_COMPILED = ("torch._dynamo", {"OptimizedModule": _OptimizedModule}, 1)
PLOT = (
    "torchmetrics.utilities.plot",
    {"_AX_TYPE": object, "_PLOT_OUT_TYPE": object, "plot_single_or_multi_val": _plot},
    3,
)
BORROWERS = {  # module: whom it asks, for which names, and how often
    "lightning_fabric.wrappers": IS_COMPILED,
    "pytorch_lightning.utilities.compile": IS_COMPILED,
    "pytorch_lightning.trainer.connectors.logger_connector.result": (
        "torch._dynamo",
        {"disable": _disable},
        2,
    ),
    "torchmetrics.metric": PLOT,
    "torchmetrics.collections": PLOT,
}


class _StandIn(types.ModuleType):
    """Has a module's place until it was asked `times`, or for more than its names.

    Whoever imports the module after that gets the module.
    """

    def __init__(self, name: str, names: dict[str, object], times: float = math.inf) -> None:
        super().__init__(name)
        self._names, self._times = names, times

    def __getattr__(self, name: str) -> object:
        if name in self._names:
            self._times -= 1
            if self._times <= 0:
                self.go()
            return self._names[name]
        parts = name == "__path__" and self._times == math.inf  # a part of it may be asked for
        if name.startswith("__") and not parts:
            raise AttributeError(name)
        self.go()
        return getattr(importlib.import_module(self.__name__), name)

    def go(self) -> None:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


@contextmanager
def _standing_in(name: str, names: dict[str, object], times: float = math.inf) -> Iterator[None]:
    """Within: a stand-in, unless the module is there."""
    stand_in = _StandIn(name, names, times)
    sys.modules.setdefault(name, stand_in)
    try:
        yield
    finally:
        stand_in.go()


def uncompiled() -> AbstractContextManager[None]:
    """Within: what torch marks as never to be compiled does not import the compiler for that."""
    return _standing_in("torch._dynamo", {"disable": _disable})


class _There(importlib.abc.Loader):
    """A part of a module that came with it, when a stand-in had been asked for the part."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: it was run."""


class _Borrow(importlib.abc.MetaPathFinder):
    """Finds the BORROWERS, and has a stand-in where each of them will look."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.startswith("torch._dynamo.") and name in sys.modules:
            return importlib.machinery.ModuleSpec(name, _There(), is_package=path is None)
        if name not in BORROWERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            with _standing_in(*BORROWERS[name]):
                run(module)

        spec.loader.exec_module = exec_module
        return spec


def install() -> None:
    """Before pytorch_lightning is imported; changes nothing that is there already."""
    if not any(isinstance(finder, _Borrow) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Borrow())
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
