"""Sweeps: grids and searches, whose cells are runs and whose only memory is those runs' ledgers."""
