"""Deliveries: what leaves the daemon for those who subscribed to a topic."""
