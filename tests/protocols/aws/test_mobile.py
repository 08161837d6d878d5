"""Platform applications and endpoints, as a program written for SNS makes them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.daemon import Daemon
from tests.protocols.aws.clients import client as client_of

SECRET = "a-very-secret-credential"
HERE = "arn:aws:sns:us-east-1:000000000000"
APPLICATION = f"{HERE}:app/GCM/wrong"


@pytest.fixture
def sns(daemon: Daemon) -> Iterator[Any]:
    made = client_of("sns", daemon.endpoint)
    yield made
    made.close()


def application(sns: Any, name: str, **attributes: str) -> str:
    """Make one; its ARN."""
    attributes = {"PlatformCredential": SECRET} | attributes
    made = sns.create_platform_application(Name=name, Platform="GCM", Attributes=attributes)
    return str(made["PlatformApplicationArn"])


def endpoint(sns: Any, arn: str, token: str, **given: Any) -> str:
    """Make one; its ARN."""
    return str(sns.create_platform_endpoint(PlatformApplicationArn=arn, Token=token, **given)["EndpointArn"])


def attributes_of(sns: Any, arn: str) -> Any:
    return sns.get_endpoint_attributes(EndpointArn=arn)["Attributes"]


def error(call: Any, **given: Any) -> tuple[str, str, int]:
    """Code, text and status of what goes wrong."""
    with pytest.raises(ClientError) as raised:
        call(**given)
    said = raised.value.response
    return said["Error"]["Code"], said["Error"]["Message"], said["ResponseMetadata"]["HTTPStatusCode"]


def test_an_application_is_told_without_its_secrets(sns: Any, daemon: Daemon) -> None:
    arn = application(sns, "secret", EventEndpointCreated=f"{HERE}:created")
    assert arn == f"{HERE}:app/GCM/secret"
    told = sns.get_platform_application_attributes(PlatformApplicationArn=arn)["Attributes"]
    assert told == {"Enabled": "true", "EventEndpointCreated": f"{HERE}:created"}

    sns.set_platform_application_attributes(
        PlatformApplicationArn=arn,
        Attributes={
            "PlatformCredential": SECRET + "2",
            "EventEndpointCreated": "",
            "SuccessFeedbackSampleRate": "7",
        },
    )
    told = sns.get_platform_application_attributes(PlatformApplicationArn=arn)["Attributes"]
    assert told == {"Enabled": "true", "SuccessFeedbackSampleRate": "7"}
    [listed] = [
        each
        for page in sns.get_paginator("list_platform_applications").paginate()
        for each in page["PlatformApplications"]
        if each["PlatformApplicationArn"] == arn
    ]
    assert listed["Attributes"] == told
    long = {"PlatformCredential": SECRET * 2000}
    said = error(sns.create_platform_application, Name="long", Platform="GCM", Attributes=long)
    assert said[0] == "InvalidParameter"
    assert SECRET not in said[1]
    assert SECRET not in json.dumps(daemon.log)


def test_an_endpoint_is_found_again_unless_it_differs(sns: Any) -> None:
    arn = application(sns, "again")
    made = endpoint(sns, arn, "t1", CustomUserData="me")
    assert made.startswith(f"{HERE}:endpoint/GCM/again/")
    assert endpoint(sns, arn, "t1", CustomUserData="me") == made
    assert endpoint(sns, arn, "t1", CustomUserData="me", Attributes={"Enabled": "TRUE"}) == made
    text = f"Endpoint {made} already exists with the same Token, but different attributes."
    refused = "InvalidParameter", f"Invalid parameter: Token Reason: {text}", 400
    disabled = {"CustomUserData": "me", "Attributes": {"Enabled": "false"}}
    for given in ({}, {"CustomUserData": "you"}, disabled):
        asked = {"PlatformApplicationArn": arn, "Token": "t1", **given}
        assert error(sns.create_platform_endpoint, **asked) == refused
    other = endpoint(sns, arn, "t2")
    assert error(sns.set_endpoint_attributes, EndpointArn=other, Attributes={"Token": "t1"}) == refused

    # One that was disabled is found, and stays disabled.
    sns.set_endpoint_attributes(EndpointArn=made, Attributes={"Enabled": "false"})
    assert endpoint(sns, arn, "t1", CustomUserData="me") == made
    assert attributes_of(sns, made) == {"Enabled": "false", "Token": "t1", "CustomUserData": "me"}

    # A token that was changed is free.
    sns.set_endpoint_attributes(EndpointArn=made, Attributes={"Token": "t3", "CustomUserData": ""})
    assert attributes_of(sns, made) == {"Enabled": "false", "Token": "t3"}
    assert endpoint(sns, arn, "t1") not in (made, other)
    elsewhere = endpoint(sns, application(sns, "elsewhere"), "t3")
    assert elsewhere != made


def test_lists_come_in_pages(sns: Any) -> None:
    arn = application(sns, "pages")
    made = {endpoint(sns, arn, f"t{n}") for n in range(203)}
    pages = list(
        sns.get_paginator("list_endpoints_by_platform_application").paginate(PlatformApplicationArn=arn)
    )
    assert [len(each["Endpoints"]) for each in pages] == [100, 100, 3]
    assert {each["EndpointArn"] for page in pages for each in page["Endpoints"]} == made
    assert pages[0]["Endpoints"][0]["Attributes"]["Enabled"] == "true"

    there = {application(sns, f"page-{n}") for n in range(101)}
    listed = list(sns.get_paginator("list_platform_applications").paginate())
    assert len(listed[0]["PlatformApplications"]) == 100
    arns = [each["PlatformApplicationArn"] for page in listed for each in page["PlatformApplications"]]
    assert there <= set(arns)
    assert len(set(arns)) == len(arns)


def test_what_is_deleted_is_gone_and_deleting_it_again_is_fine(sns: Any) -> None:
    arn = application(sns, "gone")
    first, second = endpoint(sns, arn, "t1"), endpoint(sns, arn, "t2")
    for _ in range(2):
        sns.delete_endpoint(EndpointArn=first)
    assert error(sns.get_endpoint_attributes, EndpointArn=first) == (
        *("NotFound", "Endpoint does not exist"),
        404,
    )
    for _ in range(2):
        sns.delete_platform_application(PlatformApplicationArn=arn)
    said = error(sns.get_platform_application_attributes, PlatformApplicationArn=arn)
    assert said == ("NotFound", "PlatformApplication does not exist", 404)
    # The next of this name has none of the old one's endpoints.
    assert application(sns, "gone") == arn
    assert error(sns.get_endpoint_attributes, EndpointArn=second)[0] == "NotFound"
    assert endpoint(sns, arn, "t2") != second


@pytest.mark.parametrize(
    ("call", "given", "text"),
    [
        (
            "create_platform_application",
            {"Name": "a", "Platform": "BAIDU", "Attributes": {"PlatformCredential": SECRET}},
            "Platform Reason: BAIDU is not supported",
        ),
        (
            "create_platform_application",
            {"Name": "a", "Platform": "APNS", "Attributes": {"PlatformCredential": SECRET}},
            "Attributes Reason: APNS needs PlatformPrincipal, and it is absent or empty",
        ),
        (
            "create_platform_application",
            {"Name": "a", "Platform": "GCM", "Attributes": {"PlatformCredential": SECRET, "Colour": "red"}},
            "Attributes Reason: Invalid attribute name: Colour",
        ),
        (
            "set_platform_application_attributes",
            {"PlatformApplicationArn": APPLICATION, "Attributes": {"SuccessFeedbackSampleRate": "101"}},
            "Attributes Reason: SuccessFeedbackSampleRate must be an integer from 0 to 100",
        ),
        (
            "create_platform_endpoint",
            {"PlatformApplicationArn": APPLICATION, "Token": "t", "Attributes": {"Enabled": "maybe"}},
            "Attributes Reason: Invalid value for attribute: Enabled: maybe. Must be true or false",
        ),
        (
            "create_platform_endpoint",
            {"PlatformApplicationArn": APPLICATION, "Token": "t", "CustomUserData": "ä" * 1025},
            "CustomUserData Reason: CustomUserData must have at most 2048 bytes of UTF-8",
        ),
        ("create_platform_endpoint", {"PlatformApplicationArn": APPLICATION, "Token": ""}, "Token"),
        (
            "get_endpoint_attributes",
            {"EndpointArn": "x"},
            "EndpointArn Reason: An ARN must have at least 6 elements, not 1",
        ),
        (
            "get_endpoint_attributes",
            {"EndpointArn": APPLICATION},
            f"EndpointArn Reason: {APPLICATION} is no such ARN",
        ),
        (
            "list_endpoints_by_platform_application",
            {"PlatformApplicationArn": APPLICATION, "NextToken": "x"},
            "NextToken Reason: It names no endpoint of the application.",
        ),
    ],
)
def test_what_is_wrong_is_named(sns: Any, call: str, given: Any, text: str) -> None:
    assert application(sns, "wrong") == APPLICATION
    assert error(getattr(sns, call), **given) == ("InvalidParameter", f"Invalid parameter: {text}", 400)


def test_limits_hold_and_what_there_was_is_there_after_a_crash(tmp_path: Path) -> None:
    few = ("--push-max-applications", "2", "--push-max-endpoints", "3")
    with Daemon(tmp_path, *few, http="127.0.0.1:0") as daemon:
        sns = client_of("sns", daemon.endpoint)
        arn, over = application(sns, "kept", ApplePlatformTeamID="x"), application(sns, "over")
        kept, changed = endpoint(sns, arn, "t1"), endpoint(sns, arn, "t2", CustomUserData="me")
        gone = endpoint(sns, over, "t1")
        third = {"Name": "third", "Platform": "GCM", "Attributes": {"PlatformCredential": SECRET}}
        limits = [
            error(sns.create_platform_application, **third),
            error(sns.create_platform_endpoint, PlatformApplicationArn=arn, Token="t4"),
        ]
        assert all("limit" in each[1] for each in limits)
        sns.delete_platform_application(PlatformApplicationArn=over)
        sns.set_endpoint_attributes(EndpointArn=changed, Attributes={"Token": "t3", "Enabled": "false"})
        for stop in (daemon.kill, daemon.stop):
            stop()
            daemon.start()
            sns.close()
            sns = client_of("sns", daemon.endpoint)
            told = sns.get_platform_application_attributes(PlatformApplicationArn=arn)["Attributes"]
            assert told == {"Enabled": "true", "ApplePlatformTeamID": "x"}
            assert attributes_of(sns, changed) == {"Enabled": "false", "Token": "t3", "CustomUserData": "me"}
            assert endpoint(sns, arn, "t1") == kept
            assert error(sns.get_endpoint_attributes, EndpointArn=gone)[0] == "NotFound"
            listed = sns.list_platform_applications()["PlatformApplications"]
            assert [each["PlatformApplicationArn"] for each in listed] == [arn]
        assert application(sns, "over") == over
        assert endpoint(sns, over, "t1") != gone
        sns.close()
