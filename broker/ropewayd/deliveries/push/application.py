"""The protocol application: a notification to a device, by its platform's service.

What the service says of a token is told back: one that is good for nothing any more disables its endpoint, as
at AWS, and nothing is sent to an endpoint that is disabled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import REFUSED, Answer, Delivery

from .device import Device, Platform


class Application:
    """Sends by the platforms that it is given. `find` tells of an endpoint, by its ARN; None if it is not
    there. `disable` is told of one whose token is good for nothing any more, as it was found."""

    def __init__(
        self,
        platforms: Mapping[str, Platform],
        find: Callable[[str], Device | None],
        disable: Callable[[Device], None],
    ) -> None:
        self._platforms = platforms
        self._find = find
        self._disable = disable

    async def send(self, delivery: Delivery) -> Answer:
        """Send one notification."""
        attempt = Attempt()
        device = self._find(delivery.endpoint)
        if device is None:
            return attempt.ends(REFUSED, None, "there is no such endpoint")
        if not device.enabled:
            return attempt.ends(REFUSED, None, "the endpoint is disabled")
        platform = self._platforms.get(device.application.platform)
        if platform is None:
            return attempt.ends(REFUSED, None, f"nothing is sent by {device.application.platform}")
        outcome = await platform.push(attempt, device, delivery)
        if outcome.gone:
            self._disable(device)
        return outcome.answer

    async def close(self) -> None:
        """End the connections."""
        for platform in {id(each): each for each in self._platforms.values()}.values():
            await platform.close()
