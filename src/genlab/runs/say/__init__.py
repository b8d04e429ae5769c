"""What is said to people: errors, terminal, secrets, numbers."""
