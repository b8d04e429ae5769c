"""What the commands do; the only package that sees the configuration."""
