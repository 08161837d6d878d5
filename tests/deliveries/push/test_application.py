"""The protocol application: which platform sends, and what of it is told back."""

from collections.abc import Callable

import pytest

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import DELIVERED, REFUSED, Delivery
from ropewayd.deliveries.push.application import Application as Sender
from ropewayd.deliveries.push.device import Application, Device, Outcome
from tests.deliveries.making import delivery

ARN = "arn:aws:sns:us-east-1:000000000000:endpoint/ADM/app/1"


class Echo:
    """A platform that says of a token what the token says."""

    def __init__(self) -> None:
        self.closed = 0

    async def push(self, attempt: Attempt, device: Device, delivery: Delivery) -> Outcome:
        gone = device.token == "gone"
        return Outcome(attempt.ends(REFUSED if gone else DELIVERED, 200, ""), gone)

    async def close(self) -> None:
        self.closed += 1


def found(token: str = "t", platform: str = "ADM", enabled: bool = True) -> Callable[[str], Device | None]:
    application = Application(arn="app", platform=platform)
    device = Device(arn=ARN, token=token, enabled=enabled, application=application)
    return lambda arn: device if arn == ARN else None


@pytest.mark.parametrize(
    ("find", "endpoint", "outcome", "disabled"),
    [
        (found(), ARN, DELIVERED, []),
        (found("gone"), ARN, REFUSED, [ARN]),
        (found(enabled=False), ARN, REFUSED, []),
        (found(platform="BAIDU"), ARN, REFUSED, []),
        (found(), ARN + "2", REFUSED, []),
    ],
)
async def test_what_becomes_of_it(
    find: Callable[[str], Device | None], endpoint: str, outcome: str, disabled: list[str]
) -> None:
    told: list[Device] = []
    echo = Echo()
    sender = Sender({"ADM": echo, "OTHER": echo}, find, told.append)
    assert (await sender.send(delivery("application", endpoint))).outcome == outcome
    assert [each.arn for each in told] == disabled
    await sender.close()
    assert echo.closed == 1
