"""Where data come from: one class a set, injected into the data module of its kind."""
