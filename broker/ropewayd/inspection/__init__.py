"""What an operator looks at without a daemon: a store's contents and its health, and the machine's."""
