"""How good are the samples, beside what real held-out data would score?

Read: evaluation.py (what is measured for images, text, points) -> the file of the number you doubt:
likelihood.py, features.py, distribution.py, memorisation.py, language.py, toy.py.
"""
