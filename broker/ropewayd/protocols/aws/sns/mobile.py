"""The operations on platform applications and their endpoints."""

from __future__ import annotations

from typing import Any, ClassVar

from ropewayd.mobile import actions as a
from ropewayd.protocols.aws.call import Call, Operation
from ropewayd.vocabulary.action import Action, convert

from .arn import application_arn, endpoint_arn
from .topics import PAGE


class CreatePlatformApplication(Operation, kw_only=True):
    """Make an application on a platform."""

    name: str
    platform: str
    attributes: dict[str, str]

    def action(self, call: Call) -> Action:
        asked = {
            "name": self.name,
            "platform": self.platform,
            "attributes": self.attributes,
            "account": call.caller.account,
            "region": call.caller.region,
        }
        return convert(a.CreatePlatformApplication, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"PlatformApplicationArn": answer["application"]}


class ApplicationOperation(Operation, kw_only=True):
    """What belongs to one application."""

    has_result: ClassVar[bool] = False

    platform_application_arn: str

    def application(self, call: Call) -> str:
        return application_arn(call, self.platform_application_arn)


class DeletePlatformApplication(ApplicationOperation, kw_only=True):
    """Delete an application and its endpoints."""

    def action(self, call: Call) -> Action:
        return a.DeletePlatformApplication(application=self.application(call))


class GetPlatformApplicationAttributes(ApplicationOperation, kw_only=True):
    """What an application is set to, without its secrets."""

    has_result: ClassVar[bool] = True

    def action(self, call: Call) -> Action:
        return a.GetPlatformApplicationAttributes(application=self.application(call))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"Attributes": answer}


class SetPlatformApplicationAttributes(ApplicationOperation, kw_only=True):
    """Change attributes of an application."""

    attributes: dict[str, str]

    def action(self, call: Call) -> Action:
        asked = {"application": self.application(call), "attributes": self.attributes}
        return convert(a.SetPlatformApplicationAttributes, asked)


class ListPlatformApplications(Operation, kw_only=True):
    """The caller's applications, in pages."""

    next_token: str | None = None

    def action(self, call: Call) -> Action:
        asked = {
            "limit": PAGE,
            "after": self.next_token or None,
            "account": call.caller.account,
            "region": call.caller.region,
        }
        return convert(a.ListPlatformApplications, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        found: dict[str, Any] = {
            "PlatformApplications": [
                {"PlatformApplicationArn": each["application"], "Attributes": each["attributes"]}
                for each in answer["applications"]
            ]
        }
        if answer["next"] is not None:
            found["NextToken"] = answer["next"]
        return found


class CreatePlatformEndpoint(ApplicationOperation, kw_only=True):
    """Make an endpoint, or find one that is as asked for."""

    has_result: ClassVar[bool] = True

    token: str
    custom_user_data: str | None = None
    attributes: dict[str, str] | None = None

    def action(self, call: Call) -> Action:
        asked = {
            "application": self.application(call),
            "token": self.token,
            "user_data": self.custom_user_data,
            "attributes": self.attributes or {},
        }
        return convert(a.CreatePlatformEndpoint, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"EndpointArn": answer["endpoint"]}


class EndpointOperation(Operation, kw_only=True):
    """What belongs to one endpoint."""

    has_result: ClassVar[bool] = False

    endpoint_arn: str

    def endpoint(self, call: Call) -> str:
        return endpoint_arn(call, self.endpoint_arn)


class DeleteEndpoint(EndpointOperation, kw_only=True):
    """Delete an endpoint."""

    def action(self, call: Call) -> Action:
        return a.DeleteEndpoint(endpoint=self.endpoint(call))


class GetEndpointAttributes(EndpointOperation, kw_only=True):
    """What an endpoint is set to."""

    has_result: ClassVar[bool] = True

    def action(self, call: Call) -> Action:
        return a.GetEndpointAttributes(endpoint=self.endpoint(call))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"Attributes": answer}


class SetEndpointAttributes(EndpointOperation, kw_only=True):
    """Change attributes of an endpoint."""

    attributes: dict[str, str]

    def action(self, call: Call) -> Action:
        asked = {"endpoint": self.endpoint(call), "attributes": self.attributes}
        return convert(a.SetEndpointAttributes, asked)


class ListEndpointsByPlatformApplication(ApplicationOperation, kw_only=True):
    """An application's endpoints, in pages."""

    has_result: ClassVar[bool] = True

    next_token: str | None = None

    def action(self, call: Call) -> Action:
        asked = {"application": self.application(call), "limit": PAGE, "after": self.next_token or None}
        return convert(a.ListEndpointsByPlatformApplication, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        found: dict[str, Any] = {
            "Endpoints": [
                {"EndpointArn": each["endpoint"], "Attributes": each["attributes"]}
                for each in answer["endpoints"]
            ]
        }
        if answer["next"] is not None:
            found["NextToken"] = answer["next"]
        return found
