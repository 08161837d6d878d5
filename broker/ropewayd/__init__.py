"""The Ropeway daemon: durable queues on a box you own."""

__version__ = "0.1.0"
