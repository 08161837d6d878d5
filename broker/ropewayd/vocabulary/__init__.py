"""What every floor above shares: actions, errors, names, limits, the clock. Imports nothing of the daemon."""
