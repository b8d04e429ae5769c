"""The board: what `genlab board` reads of runs, and what its page is told."""
