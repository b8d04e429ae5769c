"""How each kind of data looks to people and lies on disk: one file per format."""
