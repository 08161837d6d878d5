"""Other brokers, as contestants: how each is started (servers.py), and a file for the wire of each."""
