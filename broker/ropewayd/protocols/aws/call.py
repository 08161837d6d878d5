"""One call of an operation: what is known of it besides its parameters, and what an operation is.

An operation is a msgspec Struct whose fields are the parameters that AWS's model names. It turns itself into
an action, and the action's answer into the members of its result; it decides nothing that a service decides.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import RopewayError
from ropewayd.vocabulary.names import Scope


class Protocol(enum.Enum):
    """How a call is written, and its answer."""

    JSON = "json"
    QUERY = "query"
    QUERY_JSON = "query in JSON"
    """The Query protocol with `Accept: application/json`."""


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who calls. Without access keys it is who they say they are."""

    account: str
    region: str
    service: str = ""
    """The service that the credential is for."""
    proven: bool = False
    """Whether a signature was verified: then other accounts' queues are out of reach."""
    anonymous: bool = False
    """Whether there is none where others need one."""


class Call(msgspec.Struct, kw_only=True):
    """See the module."""

    request_id: str
    protocol: Protocol
    operation: str
    caller: Caller
    base: Callable[[], str] = str
    """Gives `base_url`."""
    namespace: str = ""
    """The service's XML namespace."""
    prefix: str = ""
    """What the service's error types begin with."""
    nested: bool = False
    """Whether lists and maps of the Query protocol are elements with members inside, and not flattened."""
    tell: Callable[[RopewayError, Call, Operation | None], tuple[Any, str]] | None = None
    """How the service tells an error: its line of errors.FAULTS, and its text. None: as SQS does."""
    path_queue: str = ""
    """The request's own path, if it is a queue's."""
    size: int = 0
    """Bytes of its parameters, as they came."""
    fits: bool = False
    """Whether each character of its parameters is known to be one that a message may have."""
    trace: str | None = None
    """The request's X-Amzn-Trace-Id."""
    query_mode: bool = True
    """Whether JSON errors keep the Query protocol's statuses."""
    home: Scope = Scope()
    """The daemon's own account and region: a queue of these is known by its bare name."""

    refused: dict[int, RopewayError] = {}
    """Entries of a batch that did not get as far as the action, by their place."""

    taken: list[Any] = []
    """Those that did, in the action's order."""

    @property
    def base_url(self) -> str:
        """What QueueUrls begin with: scheme and host, as the client called. Raises InvalidParameterValue."""
        return self.base()

    @property
    def is_query(self) -> bool:
        return self.protocol is not Protocol.JSON


def pascal(name: str) -> str:
    """A field's name as AWS writes it."""
    return "".join(word[0].upper() + word[1:] for word in name.split("_"))


class Operation(msgspec.Struct, rename=pascal, kw_only=True):
    """Base of all operations. See the module."""

    has_result: ClassVar[bool] = True
    """Whether the model gives it a result."""
    parameters: ClassVar[Mapping[str, str]] = {}
    """The action's fields by their paths, and what AWS calls them."""
    attribute_terms: ClassVar[Mapping[str, str]] = {}
    """The same of attributes that it sets."""
    reasons: ClassVar[Mapping[str, str]] = {}
    """AWS's words for a value that is out of its parameter's range."""
    entry: ClassVar[str] = ""
    """What the Query protocol calls an entry of `Entries`."""
    about_tags: ClassVar[bool] = False
    """Whether it is about the tags of something: SNS tells then in other words that it is not there."""
    prepares_later: ClassVar[bool] = False
    """Whether its answer is much to write, and stays as it is until it is told: then its bytes are made while
    the disk is waited for."""
    needs_queue: ClassVar[bool] = False
    """Whether it belongs to a queue, and so to a queue's URL."""

    def action(self, call: Call) -> Action | None:
        """The action that it is; None where the answer needs none. Raises RopewayError."""
        raise NotImplementedError

    def patience(self) -> float:
        """Seconds that it may wait for something to happen, and be no slow call for that."""
        return 0.0

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        """The members of the result. May raise RopewayError."""
        return {}
