"""Bytes to actions and answers to bytes. No rule of any service lives here."""
