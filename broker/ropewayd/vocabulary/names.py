"""How things are called: queue names, ARNs, message ids."""

from __future__ import annotations

import re
import uuid

QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")
"""The rule AWS states for a standard queue's name."""

DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "us-east-1"


def queue_arn(name: str, account: str = DEFAULT_ACCOUNT, region: str = DEFAULT_REGION) -> str:
    """The queue's Amazon resource name."""
    return f"arn:aws:sqs:{region}:{account}:{name}"


def show_message_id(raw: bytes) -> str:
    """A message id as people see it: 16 bytes as a UUID."""
    return str(uuid.UUID(bytes=raw))
