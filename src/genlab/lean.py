"""A quick start: large packages that Lightning and torch import for a name or two, put off.

torchmetrics for two classes (torchvision and scipy.signal come with it), matplotlib for the type of
an argument, torch's compiler (torch._dynamo) for a class that they ask `isinstance` of and for
marks on functions not to be compiled: together two thirds of what `import pytorch_lightning` takes.
`install` has these names found alone; whoever asks for anything else gets the whole of each, the
same objects as ever.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LIGHTNINGS = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}
COMPILER, PLOT = "torch._dynamo", "torchmetrics.utilities.plot"


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


class _StandIn(types.ModuleType):
    """Has a module's place and some of its names; asked for another one, it brings the module."""

    def __init__(self, name: str, place: str, names: dict[str, object]) -> None:
        super().__init__(name)
        self.__path__ = [place]  # where parts of it are looked for, which _Parts sees
        self._names = names

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._names[name] if name in self._names else getattr(self.whole(), name)

    def whole(self) -> types.ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


def _compiler() -> types.ModuleType | None:
    """torch._dynamo, where it was imported."""
    module = sys.modules.get(COMPILER)
    return None if isinstance(module, _StandIn) else module


class _IsCompiled(type):
    """What torch.compile has wrapped; nothing has been where the compiler was never imported."""

    def __instancecheck__(cls, object: object) -> bool:
        return isinstance(object, getattr(_compiler(), "OptimizedModule", ()))


class _OptimizedModule(metaclass=_IsCompiled):
    """torch._dynamo.OptimizedModule, for those who only ask whether something is one."""


def _disable(function: Callable, recursive: bool = True, **options: Any) -> Callable:
    """torch._dynamo.disable, which marks what is never compiled: so is all until it is imported."""
    marked: list[Callable] = []

    @functools.wraps(function)
    def unless_compiled(*args: Any, **kwargs: Any) -> Any:
        if not marked:
            if (compiler := _compiler()) is None:
                return function(*args, **kwargs)
            marked.append(compiler.disable(function, recursive, **options))
        return marked[0](*args, **kwargs)

    return unless_compiled


def _graph_break() -> None:
    """torch._dynamo.graph_break where nothing is compiled; called by name, so it is found anew."""


def _plot(*args: object, **options: object) -> object:
    """torchmetrics' own function of the name, found when something is to be plotted."""
    return importlib.import_module(PLOT).plot_single_or_multi_val(*args, **options)


class _There(importlib.abc.Loader):
    """A part of the compiler that came with the whole of it."""

    def __init__(self, spec: importlib.machinery.ModuleSpec | None) -> None:
        self.spec = spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: it was run. It stays what it was."""
        module.__spec__ = self.spec


class _Parts(importlib.abc.MetaPathFinder):
    """A part of the compiler comes with the whole; torchmetrics' two classes without matplotlib."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.startswith(COMPILER + "."):
            if isinstance(stand_in := sys.modules.get(COMPILER), _StandIn):
                stand_in.whole()
                if (part := sys.modules.get(name)) is not None:  # Python goes by its __spec__ now
                    part.__spec__ = importlib.machinery.ModuleSpec(name, _There(part.__spec__))
                    return part.__spec__
        elif name in LIGHTNINGS.values():
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module = functools.partial(_unplotted, spec.loader.exec_module)
            return spec
        return None


def _unplotted(run: Callable, module: types.ModuleType) -> None:
    """Run a module of torchmetrics that asks for plots when it is imported."""
    names = {"_AX_TYPE": object, "_PLOT_OUT_TYPE": object, "plot_single_or_multi_val": _plot}
    stand_in = _StandIn(PLOT, "", names)
    sys.modules.setdefault(PLOT, stand_in)
    try:
        run(module)
    finally:
        if sys.modules[PLOT] is stand_in:
            del sys.modules[PLOT]


def install() -> None:
    """Before pytorch_lightning is imported; changes nothing that is there already."""
    if any(isinstance(finder, _Parts) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Parts())
    torch = importlib.util.find_spec("torch")
    if torch is not None and torch.origin is not None:
        names = {"disable": _disable, "graph_break": _graph_break}
        place = str(Path(torch.origin).with_name("_dynamo"))
        stand_in = _StandIn(COMPILER, place, names | {"OptimizedModule": _OptimizedModule})
        sys.modules.setdefault(COMPILER, stand_in)
    spec = importlib.util.find_spec("torchmetrics")
    if spec is None or spec.loader is None or "torchmetrics" in sys.modules:
        return
    module = _Lazy("torchmetrics")
    module.__spec__, module.__path__ = spec, spec.submodule_search_locations
    module.__file__, module.__package__ = spec.origin, "torchmetrics"
    module.__loader__ = spec.loader
    module._logger = logging.getLogger("torchmetrics")  # which metric.py takes from the package
    sys.modules["torchmetrics"] = module
