"""Ropeway's client library: durable queues from Python programs."""

from importlib.metadata import version

__version__ = version("ropeway")
