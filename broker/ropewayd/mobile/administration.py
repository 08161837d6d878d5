"""Applications and endpoints: made, listed, described, changed, deleted. State is read, never changed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.queues.events import QueueDeleted
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import InvalidParameterValue, NotFound, OverLimit, RopewayError
from ropewayd.vocabulary.names import Scope, page

from . import actions as a
from . import events as e
from .application import Application, Endpoint, read_endpoint_arn
from .attributes import (
    platform_problem,
    read_application,
    read_endpoint,
    show_application,
    user_data_problem,
)
from .registry import Registry


class Administration:
    """Decides what is asked of applications and endpoints. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._entropy = entropy

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.CreatePlatformApplication: self.create,
            a.DeletePlatformApplication: self.delete,
            a.GetPlatformApplicationAttributes: self.attributes,
            a.SetPlatformApplicationAttributes: self.set_attributes,
            a.ListPlatformApplications: self.list_applications,
            a.CreatePlatformEndpoint: self.create_endpoint,
            a.DeleteEndpoint: self.delete_endpoint,
            a.GetEndpointAttributes: self.endpoint_attributes,
            a.SetEndpointAttributes: self.set_endpoint,
            a.DisableEndpoint: self.disable,
            a.ListEndpointsByPlatformApplication: self.list_endpoints,
        }

    def _scope(self, action: a.CreatePlatformApplication | a.ListPlatformApplications) -> Scope:
        home = self._registry.home
        return Scope(action.account or home.account, action.region or home.region)

    def create(self, action: a.CreatePlatformApplication, now: int) -> Outcome:
        registry, platform = self._registry, action.platform
        problem = platform_problem(platform)
        if problem is not None:
            return problem
        made = Application(registry.next_number, platform, action.name, self._scope(action), now, {})
        there = registry.by_arn.get(made.arn)
        given = read_application(action.attributes, platform, {} if there is None else there.attributes)
        if isinstance(given, RopewayError):
            return given
        answer = {"application": made.arn}
        if there is not None:
            return Decision(answer, _application_set(there, given))
        most = registry.limits.max_applications
        if len(registry.by_number) >= most:
            return OverLimit(f"There are {most} platform applications, and that is the limit.", "name")
        return Decision(answer, _application_set(made, given))

    def delete(self, action: a.DeletePlatformApplication, now: int) -> Outcome:
        found = self._registry.application(action.application)
        if isinstance(found, NotFound):
            return Decision({})
        if isinstance(found, RopewayError):
            return found
        ended = e.ApplicationDeleted(found.number)
        return Decision({}, (ended, QueueDeleted(found.queue, now)) if found.queue else (ended,))

    def attributes(self, action: a.GetPlatformApplicationAttributes, now: int) -> Outcome:
        found = self._registry.application(action.application)
        return found if isinstance(found, RopewayError) else Decision(show_application(found.attributes))

    def set_attributes(self, action: a.SetPlatformApplicationAttributes, now: int) -> Outcome:
        found = self._registry.application(action.application)
        if isinstance(found, RopewayError):
            return found
        given = read_application(action.attributes, found.platform, found.attributes)
        return given if isinstance(given, RopewayError) else Decision({}, _application_set(found, given))

    def list_applications(self, action: a.ListPlatformApplications, now: int) -> Outcome:
        registry, scope = self._registry, self._scope(action)
        prefix = f"arn:aws:sns:{scope.region}:{scope.account}:app/"
        arns, more = page(registry.order, prefix, action.after, action.limit)
        listed = [
            {"application": arn, "attributes": show_application(registry.by_arn[arn].attributes)}
            for arn in arns
        ]
        return Decision({"applications": listed, "next": more})

    def create_endpoint(self, action: a.CreatePlatformEndpoint, now: int) -> Outcome:
        """A device that is there already must be as asked for: user data that is not given is empty then, as
        at AWS, and whether it is enabled is compared only where that is given."""
        application = self._registry.application(action.application)
        if isinstance(application, RopewayError):
            return application
        given = read_endpoint(action.attributes)
        if isinstance(given, RopewayError):
            return given
        problem = user_data_problem(action.user_data or "")
        if problem is not None:
            return problem
        _, in_map, enabled = given
        user_data = action.user_data if action.user_data is not None else in_map or ""
        there = application.by_token.get(action.token)
        if there is not None:
            arn = application.arn_of(there.id)
            if user_data != there.user_data or enabled not in (None, there.enabled):
                return _taken(arn)
            return Decision({"endpoint": arn, "created": False})
        most = self._registry.limits.max_endpoints
        if self._registry.endpoints >= most:
            return OverLimit(f"There are {most} endpoints, and that is the limit.", "token")
        id_ = self._entropy(16)
        event = e.EndpointSet(application.number, id_, action.token, user_data, enabled is not False)
        return Decision({"endpoint": application.arn_of(id_), "created": True}, (event,))

    def delete_endpoint(self, action: a.DeleteEndpoint, now: int) -> Outcome:
        found = self._registry.endpoint(action.endpoint)
        if isinstance(found, NotFound):
            return Decision({})
        if isinstance(found, RopewayError):
            return found
        application, endpoint = found
        return Decision({}, (e.EndpointDeleted(application.number, endpoint.id),))

    def endpoint_attributes(self, action: a.GetEndpointAttributes, now: int) -> Outcome:
        found = self._registry.endpoint(action.endpoint)
        return found if isinstance(found, RopewayError) else Decision(_shown(found[1]))

    def set_endpoint(self, action: a.SetEndpointAttributes, now: int) -> Outcome:
        found = self._registry.endpoint(action.endpoint)
        if isinstance(found, RopewayError):
            return found
        given = read_endpoint(action.attributes)
        if isinstance(given, RopewayError):
            return given
        application, endpoint = found
        token, user_data, enabled = given
        said = (
            endpoint.token if token is None else token,
            endpoint.user_data if user_data is None else user_data,
            endpoint.enabled if enabled is None else enabled,
        )
        other = application.by_token.get(said[0])
        if other is not None and other is not endpoint:
            return _taken(application.arn_of(other.id))
        if said == (endpoint.token, endpoint.user_data, endpoint.enabled):
            return Decision({})
        return Decision({}, (e.EndpointSet(application.number, endpoint.id, *said),))

    def disable(self, action: a.DisableEndpoint, now: int) -> Outcome:
        found = self._registry.endpoint(action.endpoint)
        if isinstance(found, RopewayError) or found[1].token != action.token or not found[1].enabled:
            return Decision({})
        application, endpoint = found
        event = e.EndpointSet(application.number, endpoint.id, endpoint.token, endpoint.user_data, False)
        return Decision({}, (event,))

    def list_endpoints(self, action: a.ListEndpointsByPlatformApplication, now: int) -> Outcome:
        application = self._registry.application(action.application)
        if isinstance(application, RopewayError):
            return application
        at = 0
        if action.after is not None:
            place = read_endpoint_arn(action.after)
            if place is None or place[1] != application.arn:
                return InvalidParameterValue("It names no endpoint of the application.", "after")
            at = bisect_right(application.order, place[2])
        ids = application.order[at : at + action.limit]
        more = at + len(ids) < len(application.order)
        listed = [
            {"endpoint": application.arn_of(id_), "attributes": _shown(application.endpoints[id_])}
            for id_ in ids
        ]
        return Decision({"endpoints": listed, "next": application.arn_of(ids[-1]) if more else None})


def _application_set(of: Application, attributes: dict[str, str]) -> tuple[e.ApplicationSet, ...]:
    if attributes == of.attributes:
        return ()
    return (e.ApplicationSet(of.number, of.platform, of.name, *of.scope, of.at, attributes),)


def _taken(arn: str) -> InvalidParameterValue:
    """In AWS's words: programs look for the ARN in them."""
    return InvalidParameterValue(
        f"It is not valid. Reason: Endpoint {arn} already exists with the same Token, but different "
        "attributes.",
        "token",
    )


def _shown(endpoint: Endpoint) -> dict[str, str]:
    found = {"Enabled": "true" if endpoint.enabled else "false", "Token": endpoint.token}
    if endpoint.user_data:
        found["CustomUserData"] = endpoint.user_data
    return found
