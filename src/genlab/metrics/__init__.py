"""How good are the samples, beside what real held-out data would score?

Read: base.py (what every metric does), then a kind's file: image.py, text.py, points.py; then the
file of the number you doubt: likelihood.py, two_sets.py, distribution.py, memorisation.py,
features.py, language.py, toy.py. docs/metrics.md says what each number sees and what it does not.
"""
