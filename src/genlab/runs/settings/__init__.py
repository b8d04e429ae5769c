"""From a command line to plain settings and objects: compose, overrides, flags, help."""
