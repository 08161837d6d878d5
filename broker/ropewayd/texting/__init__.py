"""Text messages to numbers: what an account sets for them, who gets none, and what waits to be sent."""
