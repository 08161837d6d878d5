"""Message queues, with SQS's meaning: actions, state machine, effects."""
