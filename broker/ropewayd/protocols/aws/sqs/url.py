"""QueueUrls: how one is made, and which queue one means.

A QueueUrl is `http://HOST/ACCOUNT/NAME`. Its host is the one that the client used, and is ignored when the
QueueUrl comes back: account and name say which queue it is. `/queue/REGION/ACCOUNT/NAME` names a region as
well, and a bare name is a queue of the caller's own.
"""

from __future__ import annotations

import functools
import re
from typing import Final
from urllib.parse import unquote

from ropewayd.protocols.aws.call import Call
from ropewayd.vocabulary.errors import (
    AccessDenied,
    InvalidParameterValue,
    MissingParameter,
    QueueDoesNotExist,
)
from ropewayd.vocabulary.names import Scope

_PATH: Final = re.compile(r"(?:/queue/(?P<region>[a-z0-9-]{1,32}))?/(?P<account>\d{12})/(?P<name>[^/]+)/?\Z")
_HOST: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)
MAX_NAME: Final = 80
MAX_URL: Final = 2048


def is_queue_path(path: str) -> bool:
    """Whether a request's path is a queue's."""
    return _PATH.match(path) is not None


def queue_url(call: Call, name: str, account: str | None = None) -> str:
    """The QueueUrl of a queue in the caller's region."""
    return f"{call.base_url}/{account or call.caller.account}/{name}"


def queue_name(call: Call, url: str | None) -> str:
    """What the actions call the queue that a QueueUrl means; the request's own path where there is none.

    Raises MissingParameter, InvalidParameterValue or AccessDenied.
    """
    given = url or call.path_queue
    if not given:
        raise MissingParameter("The request must contain the parameter QueueUrl.", "QueueUrl")
    if "/" not in given:
        return owned_name(call, given, call.caller.account, call.caller.region)
    if len(given) > MAX_URL:
        raise InvalidParameterValue(f"A QueueUrl has at most {MAX_URL} characters.", "QueueUrl")
    region, account, name = _read(given)
    return owned_name(call, name, account, region or call.caller.region)


@functools.lru_cache(maxsize=1024)
def _read(url: str) -> tuple[str | None, str, str]:
    """The region if there is one, the account and the name in a QueueUrl. Raises InvalidParameterValue."""
    path = _HOST.sub("", url, count=1)
    found = _PATH.match(path if path.startswith("/") else f"/{path}")
    if found is None:
        raise InvalidParameterValue(f"The address {url[:200]} is not valid for this endpoint.", "QueueUrl")
    return found["region"], found["account"], unquote(found["name"])


def owned_name(call: Call, name: str, account: str, region: str) -> str:
    """What the actions call a queue of this account and region.

    Raises AccessDenied where it is another's, and QueueDoesNotExist where no queue can have the name.
    """
    if len(name) > MAX_NAME:
        raise QueueDoesNotExist(f"No queue has a name of more than {MAX_NAME} characters.", "queue")
    if call.caller.proven and account != call.caller.account:
        raise AccessDenied(
            f"User: arn:aws:iam::{call.caller.account}:root is not authorized to perform: "
            f"sqs:{call.operation.lower()} on resource: {Scope(account, region).queue_arn(name)}"
        )
    return Scope(account, region).called(name, call.home)
