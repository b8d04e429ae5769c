"""The names of classes as a checkpoint holds them, for data modules that keep no more."""

from __future__ import annotations

from typing import Any

NAME, CLASSES = 1000, 10_000  # letters of a class's name; classes


class NamedClasses:
    """A data module whose state is the names of its classes."""

    class_names: list[str] | None

    def state(self) -> dict[str, Any]:
        return {"class_names": list(self.class_names) if self.class_names is not None else None}

    def load_state(self, state: dict[str, Any]) -> None:
        names = state["class_names"]
        if names is not None and not (
            isinstance(names, list | tuple)
            and len(names) <= CLASSES
            and all(isinstance(n, str) and len(n) <= NAME for n in names)
        ):
            raise ValueError(f"class_names: texts of at most {NAME} letters, or null")
        self.class_names = names
