"""Shards on a Ray cluster: tasks of a machine that fails are run again on another.

The raw files and the curated set lie where all machines see them. Ray's tasks carry functions of
shards, and nothing of a shard travels but its raw lines: what is written goes to the shared folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from genlab.curation.pool import Task, check_processes

AGAIN = 20  # times that a shard is given to another machine


class RayPool:
    """Tasks in the processes of a Ray cluster, which Ray starts where there is room."""

    def __init__(self, *, processes: int, address: str | None = None) -> None:
        """`processes` shards at once; `address` of a running cluster ("auto": this machine's)."""
        self.processes, self.address = check_processes(processes), address
        self._ray: Any = None

    def begin(self, common: Any) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would tell its makers of each cluster
        try:
            import ray
        except ImportError:
            raise ValueError("pool=ray: pip install 'genlab[ray]'") from None
        here = {} if self.address else {"num_cpus": self.processes, "include_dashboard": False}
        try:
            ray.init(self.address, log_to_driver=False, logging_level="ERROR", **here)
        except (ConnectionError, ValueError) as error:
            said = str(error).split("\n")[0]
            raise ValueError(f"pool.address={self.address}: no cluster answers: {said}") from None
        self._ray, self._common = ray, ray.put(common)
        self._work = ray.remote(num_cpus=1, max_retries=AGAIN)(_work)

    def map(self, tasks: Iterator[Task | None]) -> Iterator[None]:
        """Carry the tasks out; one after another it is said that a task is done, in order."""
        waiting: list[Any] = []
        for task in tasks:
            waiting.append(None if task is None else self._work.remote(self._common, *task))
            if len(waiting) > 2 * self.processes:
                yield self._done(waiting.pop(0))
        for reference in waiting:
            yield self._done(reference)

    def _done(self, reference: Any) -> None:
        if reference is None:
            return
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if error.cause is not None else error from None

    def close(self) -> None:
        if self._ray is not None:
            self._ray.shutdown()


def _work(common: Any, task: Any, args: tuple) -> None:
    task(common, *args)
