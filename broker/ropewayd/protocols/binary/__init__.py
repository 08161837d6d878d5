"""Ropeway's own protocol: length-prefixed msgpack frames. docs/protocol.md is its specification."""
