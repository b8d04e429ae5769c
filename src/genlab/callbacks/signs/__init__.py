"""Signs of failure, one file each: what is measured at a look, and when it is told."""
