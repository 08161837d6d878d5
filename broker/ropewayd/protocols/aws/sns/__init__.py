"""Amazon SNS's operations: what each takes and gives on the wire, and the action that it is."""
