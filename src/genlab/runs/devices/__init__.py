"""Where a run computes: trainer, processes, ranks, signals, sharding."""
