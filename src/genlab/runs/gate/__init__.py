"""What a file may name or hold: trusted classes, foreign files, types."""
