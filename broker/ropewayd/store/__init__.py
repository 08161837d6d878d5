"""What is on disk: the journal and the records. See protocol.py for what the rest of the daemon knows of
it."""
