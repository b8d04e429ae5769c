"""Networks: plain modules, tensors in, tensors out; they know neither loss nor Lightning.

Read: layers.py and attention.py hold the shared blocks, every other file one kind of network.
"""
