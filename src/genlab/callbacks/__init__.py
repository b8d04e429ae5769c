"""What a run does beside training: ledger, looks, weight averaging, checkpoints, progress."""
