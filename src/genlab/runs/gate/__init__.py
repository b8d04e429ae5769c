"""What a file may name or hold: trusted classes, strangers' files, types."""
