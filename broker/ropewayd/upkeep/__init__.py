"""The service for whoever runs the daemon: its store, looked at and copied while it is served."""
