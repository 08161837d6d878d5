"""The endpoints of the mobile service as the senders see them, and what the senders say of them."""

from __future__ import annotations

from ropewayd.deliveries.push.device import Application, Device
from ropewayd.kernel.kernel import Kernel
from ropewayd.mobile.actions import DisableEndpoint
from ropewayd.mobile.attributes import CREDENTIAL, PRINCIPAL
from ropewayd.mobile.service import Mobile
from ropewayd.vocabulary.errors import RopewayError


class Devices:
    """See the module. Nothing is kept here: each delivery sees the endpoint as it is then."""

    def __init__(self, mobile: Mobile, kernel: Kernel) -> None:
        self._mobile = mobile
        self._kernel = kernel

    def find(self, arn: str) -> Device | None:
        """The device of this ARN; None if there is none."""
        found = self._mobile.endpoint(arn)
        if isinstance(found, RopewayError):
            return None
        by, endpoint = found
        application = Application(
            arn=by.arn,
            platform=by.platform,
            principal=by.attributes.get(PRINCIPAL, ""),
            credential=by.attributes[CREDENTIAL],
            attributes=by.attributes,
        )
        return Device(arn=arn, application=application, token=endpoint.token, enabled=endpoint.enabled)

    def disable(self, device: Device) -> None:
        """Its token is good for nothing any more. What follows, a message that is given up, is in the journal
        after this."""
        self._kernel.submit(DisableEndpoint(endpoint=device.arn, token=device.token))
