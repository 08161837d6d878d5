"""Every mobile application of the daemon, by ARN and by number."""

from __future__ import annotations

from bisect import bisect_left, insort

from ropewayd.vocabulary.errors import InvalidParameterValue, NotFound, RopewayError
from ropewayd.vocabulary.names import Scope

from .application import Application, Endpoint, application_arn_place, read_endpoint_arn
from .settings import MobileLimits


class Registry:
    """See the module."""

    def __init__(self, limits: MobileLimits) -> None:
        self.limits = limits
        self.home = Scope(limits.account, limits.region)
        self.by_arn: dict[str, Application] = {}
        self.by_number: dict[int, Application] = {}
        self.order: list[str] = []
        """The ARNs, sorted: those of one account's part of a region stand together."""
        self.next_number = 1

    @property
    def endpoints(self) -> int:
        """How many there are."""
        return sum(len(each.endpoints) for each in self.by_number.values())

    def application(self, arn: str) -> Application | RopewayError:
        """The application of this ARN."""
        found = self.by_arn.get(arn)
        if found is not None:
            return found
        if application_arn_place(arn) is None:
            return InvalidParameterValue("It is no platform application's ARN.", "application")
        return NotFound(f"There is no platform application {arn}.", "application")

    def endpoint(self, arn: str) -> tuple[Application, Endpoint] | RopewayError:
        """The endpoint of this ARN, and its application."""
        place = read_endpoint_arn(arn)
        if place is None:
            return InvalidParameterValue("It is no endpoint's ARN.", "endpoint")
        _, own, id_ = place
        application = self.by_arn.get(own)
        found = None if application is None else application.endpoints.get(id_)
        if application is None or found is None:
            return NotFound(f"There is no endpoint {arn}.", "endpoint")
        return application, found

    def add(self, application: Application) -> None:
        self.by_number[application.number] = application
        if application.arn not in self.by_arn:  # in recovery an old incarnation may still be there
            insort(self.order, application.arn)
        self.by_arn[application.arn] = application

    def remove(self, application: Application) -> None:
        del self.by_number[application.number]
        if self.by_arn.get(application.arn) is application:
            del self.by_arn[application.arn]
            del self.order[bisect_left(self.order, application.arn)]

    def settle(self) -> None:
        """Recovery: in a tail an old incarnation, or an old owner of a token, can come after the next one."""
        self.by_arn = {
            self.by_number[number].arn: self.by_number[number] for number in sorted(self.by_number)
        }
        self.order = sorted(self.by_arn)
        for application in self.by_number.values():
            application.by_token = {each.token: each for each in application.endpoints.values()}
