"""Processes that work on shards, each of which has what it works with from the start.

Another engine is a class with the same four methods (ray_pool.py) and a YAML in conf/pool.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

Task = tuple[Callable[..., None], tuple]  # a function of a module, and what it is given


class Pool:
    """Processes of this machine; with one, this one does the work. Few tasks wait at a time."""

    def __init__(self, *, processes: int) -> None:
        self.processes = check_processes(processes)
        self.common: Any = None
        self._pool: ProcessPoolExecutor | None = None

    def begin(self, common: Any) -> None:
        """`common`: the first argument of every task; it is sent to a process once."""
        self.common = common

    def map(self, tasks: Iterator[Task | None]) -> Iterator[None]:
        """Carry the tasks out; one after another it is said that a task is done, in order."""
        if self.processes == 1:
            for task in tasks:
                if task is not None:
                    task[0](self.common, *task[1])
                yield
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.processes, mp_context=multiprocessing.get_context("spawn"),
                initializer=_install, initargs=(self.common,),
            )  # fmt: skip
        waiting: list[Any] = []
        for task in tasks:
            waiting.append(None if task is None else self._pool.submit(_work, *task))
            if len(waiting) > 2 * self.processes:
                yield _done(waiting.pop(0))
        for future in waiting:
            yield _done(future)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def check_processes(processes: int) -> int:
    if not isinstance(processes, int) or processes < 1:
        raise ValueError(f"processes={processes}: write a whole number from 1 on")
    return processes


_common: list[Any] = []  # in a worker


def _install(common: Any) -> None:
    _common[:] = [common]


def _work(task: Callable[..., None], args: tuple) -> None:
    task(_common[0], *args)


def _done(future: Any) -> None:
    if future is not None:
        future.result()
