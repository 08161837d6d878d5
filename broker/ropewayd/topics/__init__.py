"""Topics: what is published to one goes to every queue that subscribes to it, as a send does, all at once."""
