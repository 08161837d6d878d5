"""Run an action, journal its events, answer when they are durable; and the timing wheel."""
