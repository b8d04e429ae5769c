"""Families of generative models: base.py is the contract, one file per family."""
