"""What a run keeps: layout, checkpoints, saves, resume, provenance, export."""
