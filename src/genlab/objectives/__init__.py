"""The formulas: what is minimised, each whole in one place, in its paper's symbols."""
