"""Every service of the AWS face, with its operations, its names on the wire and its XML namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

import msgspec

from ropewayd.vocabulary.errors import RopewayError

from . import sts
from .call import Call, Operation
from .errors import Fault
from .sns import mobile, publishing, subscriptions, texting, topics
from .sns.errors import told
from .sqs import messages, moves, queues


class Service(msgspec.Struct, frozen=True):
    """One service. `target` is what X-Amz-Target begins with, `scope` its name in a credential's scope."""

    scope: str
    target: str
    version: str
    namespace: str
    prefix: str
    operations: Mapping[str, type[Operation]]
    nested: bool = False
    """See Call."""
    tell: Callable[[RopewayError, Call, Operation | None], tuple[Fault, str]] | None = None
    """See Call."""


def _operations(*modules: ModuleType) -> dict[str, type[Operation]]:
    """The operations of these modules: what stands in them and acts."""
    return {
        name: each
        for module in modules
        for name, each in vars(module).items()
        if isinstance(each, type)
        and issubclass(each, Operation)
        and each.__module__ == module.__name__
        and each.action is not Operation.action
    }


SQS = Service(
    "sqs",
    "AmazonSQS",
    "2012-11-05",
    "http://queue.amazonaws.com/doc/2012-11-05/",
    "com.amazonaws.sqs",
    _operations(queues, messages, moves),
)
SNS = Service(
    "sns",
    "AmazonSimpleNotificationService",
    "2010-03-31",
    "http://sns.amazonaws.com/doc/2010-03-31/",
    "com.amazonaws.sns",
    _operations(topics, subscriptions, publishing, texting, mobile),
    nested=True,
    tell=told,
)
STS = Service(
    "sts",
    "AWSSecurityTokenServiceV20110615",
    "2011-06-15",
    "https://sts.amazonaws.com/doc/2011-06-15/",
    "com.amazonaws.sts",
    _operations(sts),
)
SERVICES = (SQS, SNS, STS)
BY_TARGET = {
    f"{each.target}.{name}": (each, name, kind)
    for each in SERVICES
    if not each.nested
    for name, kind in each.operations.items()
}
"""What an X-Amz-Target means."""
BY_VERSION = {each.version: each for each in SERVICES}
BY_SCOPE = {each.scope: each for each in SERVICES}
