"""What the daemon tells those who watch it."""
