"""The attributes of applications and endpoints: which there are, which are secrets, what each may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ropewayd.vocabulary.errors import InvalidParameterValue

from .actions import MAX_TOKEN, MAX_USER_DATA

PLATFORMS: Final = frozenset(("ADM", "APNS", "APNS_SANDBOX", "GCM", "WNS"))
"""Those that there is a sender for. AWS knows more (BAIDU, MPNS, Apple's for VoIP and macOS)."""
CREDENTIAL: Final = "PlatformCredential"
PRINCIPAL: Final = "PlatformPrincipal"
SECRETS: Final = frozenset((CREDENTIAL, PRINCIPAL))
"""Never told, nor written to the log."""
_TOLD: Final = frozenset(
    (
        "EventEndpointCreated",
        "EventEndpointDeleted",
        "EventEndpointUpdated",
        "EventDeliveryFailure",
        "SuccessFeedbackRoleArn",
        "FailureFeedbackRoleArn",
        "SuccessFeedbackSampleRate",
        "ApplePlatformTeamID",
        "ApplePlatformBundleID",
    )
)


def platform_problem(platform: str) -> InvalidParameterValue | None:
    """Why nothing can be sent by a platform of this name."""
    if platform in PLATFORMS:
        return None
    hint = " (Firebase Cloud Messaging is GCM)" if platform in ("FCM", "FIREBASE") else ""
    return _wrong(f"{platform[:80]} is not supported{hint}", "platform")


def read_application(
    given: Mapping[str, str], platform: str, before: Mapping[str, str]
) -> dict[str, str] | InvalidParameterValue:
    """All that an application has once these are set. An empty value takes one away, but no secret."""
    for name, value in given.items():
        if name not in _TOLD and name not in SECRETS:
            return _wrong(f"Invalid attribute name: {name[:80]}")
        if name == "SuccessFeedbackSampleRate" and value and not _percentage(value):
            return _wrong(f"{name} must be an integer from 0 to 100")
    found = {name: value for name, value in {**before, **given}.items() if value}
    needed = (CREDENTIAL,) if platform == "GCM" else (CREDENTIAL, PRINCIPAL)
    for name in needed:
        if name not in found:
            return _wrong(f"{platform} needs {name}, and it is absent or empty")
    return found


def show_application(attributes: Mapping[str, str]) -> dict[str, str]:
    """What everybody may see."""
    return {"Enabled": "true"} | {name: attributes[name] for name in sorted(attributes) if name in _TOLD}


def read_endpoint(
    given: Mapping[str, str],
) -> tuple[str | None, str | None, bool | None] | InvalidParameterValue:
    """Token, user data and whether it is enabled, each None where it is not given."""
    enabled: bool | None = None
    for name, value in given.items():
        if name not in ("Token", "CustomUserData", "Enabled"):
            return _wrong(f"Invalid attribute name: {name[:80]}")
        if name == "Enabled":
            if value.lower() not in ("true", "false"):
                return _wrong(f"Invalid value for attribute: Enabled: {value[:80]}. Must be true or false")
            enabled = value.lower() == "true"
    token, user_data = given.get("Token"), given.get("CustomUserData")
    if token is not None and not 0 < len(token) <= MAX_TOKEN:
        return _wrong(f"Token must have 1 to {MAX_TOKEN} characters")
    problem = user_data_problem(user_data or "")
    return problem if problem is not None else (token, user_data, enabled)


def user_data_problem(user_data: str) -> InvalidParameterValue | None:
    """What is wrong with an endpoint's user data."""
    if len(user_data.encode()) <= MAX_USER_DATA:
        return None
    return _wrong(f"CustomUserData must have at most {MAX_USER_DATA} bytes of UTF-8", "user_data")


def _percentage(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 100


def _wrong(reason: str, field: str = "attributes") -> InvalidParameterValue:
    return InvalidParameterValue(f"It is not valid. Reason: {reason}", field)
