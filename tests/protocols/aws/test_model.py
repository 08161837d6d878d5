"""AWS's own service models, held against what is served: today's, and the last that describes Query.

Both are botocore's. The older one is fetched once by pip; test_programs.py runs its code.
"""

import gzip
import json
from typing import Any

import botocore.session
import msgspec
import pytest

from ropewayd.protocols.aws import answer, query
from ropewayd.protocols.aws.errors import FAULTS
from ropewayd.protocols.aws.services import SNS, SQS
from ropewayd.protocols.aws.sns import attributes as of_topics
from ropewayd.protocols.aws.sns import errors as of_sns
from ropewayd.protocols.aws.sqs.attributes import KNOWN
from ropewayd.protocols.aws.sqs.messages import SYSTEM_NAMES
from ropewayd.topics import actions as topics
from ropewayd.vocabulary.errors import catalogue
from tests.protocols.aws.wheels import old_boto3

MODEL: Any = botocore.session.get_session().get_service_model("sqs")
TOPICS: Any = botocore.session.get_session().get_service_model("sns")
NOT_SERVED: dict[str, str] = {}
"""Operations and errors that the model has and this daemon does not, with the reason. It is empty."""


@pytest.fixture(scope="module")
def old() -> Any:
    [file] = (old_boto3() / "botocore/data/sqs/2012-11-05").glob("service-2.json*")
    raw = file.read_bytes()
    return json.loads(gzip.decompress(raw) if file.suffix == ".gz" else raw)


def fields(kind: type[msgspec.Struct]) -> dict[str, bool]:
    """Each member by its name on the wire, and whether it is required."""
    return {each.encode_name: each.required for each in msgspec.structs.fields(kind)}


@pytest.mark.parametrize("name", MODEL.operation_names)
def test_each_operation_takes_each_member_of_its_input(name: str) -> None:
    kind = SQS.operations[name]
    shape = MODEL.operation_model(name).input_shape
    found = fields(kind)
    assert set(found) == set(shape.members)
    # A QueueUrl may be the request's own path.
    required = {member for member, needed in found.items() if needed} | ({"QueueUrl"} & set(found))
    assert required == set(shape.required_members)


def test_there_is_no_other_operation() -> None:
    assert set(SQS.operations) == set(MODEL.operation_names)
    assert NOT_SERVED == {}


@pytest.mark.parametrize("name", TOPICS.operation_names)
def test_each_operation_of_sns_takes_each_member_of_its_input(name: str) -> None:
    kind = SNS.operations[name]
    shape = TOPICS.operation_model(name).input_shape
    found = fields(kind)
    assert set(found) == set(shape.members)
    assert {member for member, needed in found.items() if needed} == set(shape.required_members)
    assert kind.has_result == (TOPICS.operation_model(name).output_shape is not None)


def test_there_is_no_other_operation_of_sns() -> None:
    assert set(SNS.operations) == set(TOPICS.operation_names)


def test_each_error_of_each_served_operation_of_sns_has_its_code() -> None:
    """But those of what is not served: keys, policies about tags."""
    faults = [
        *of_sns.FAULTS.values(),
        *of_sns.LIMITS.values(),
        of_sns.ATTRIBUTE,
        of_sns.NO_RESOURCE,
        of_sns.ARCHIVED,
    ]
    known = {fault.type: (fault.code, fault.status) for fault in faults}
    missing = set()
    for name in SNS.operations:
        for shape in TOPICS.operation_model(name).error_shapes:
            # The model has no code for VerificationException: it is its name then.
            error = shape.metadata.get("error", {"code": shape.name, "httpStatusCode": 400})
            if shape.name in known:
                assert known[shape.name] == (error["code"], error["httpStatusCode"]), shape.name
            else:
                missing.add(shape.name)
    assert {each for each in missing if not each.startswith("KMS")} == {
        "ConcurrentAccessException",
        "EndpointDisabledException",
        "InvalidSecurityException",
        "PlatformApplicationDisabledException",
        "StaleTagException",
        "TagPolicyException",
        "ValidationException",
        "FilterPolicyLimitExceededException",
    } - set(known)


def test_each_attribute_of_topics_is_read_or_refused_by_its_name() -> None:
    for name, (ours, _) in of_topics.TOPIC.items():
        assert ours in topics.TopicAttributes.__struct_fields__, name
    for name, (ours, _) in of_topics.SUBSCRIPTION.items():
        assert ours in topics.SubscriptionAttributes.__struct_fields__, name


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (each, MODEL.shape_for(f"{each}RequestEntry"))
        for each in ("SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch")
    ],
)
def test_each_entry_of_a_batch_takes_each_member(name: str, shape: Any) -> None:
    entry = query._inner(SQS.operations[name], "entries")
    found = fields(entry)
    assert set(found) == set(shape.members)
    assert {member for member, needed in found.items() if needed} == set(shape.required_members)


@pytest.mark.parametrize("name", MODEL.operation_names)
def test_each_error_of_each_operation_has_its_code(name: str) -> None:
    types = {fault.type for fault in FAULTS.values()}
    assert {each.name for each in MODEL.operation_model(name).error_shapes} <= types


def test_every_error_of_the_daemon_has_a_line_in_the_table() -> None:
    assert set(catalogue()) <= set(FAULTS)


def test_every_attribute_name_of_the_model_is_known() -> None:
    assert set(MODEL.shape_for("QueueAttributeName").enum) == set(KNOWN) | {"All"}
    assert set(MODEL.shape_for("MessageSystemAttributeName").enum) == {*SYSTEM_NAMES, "All"}


@pytest.mark.proof  # it installs a package
def test_codes_and_statuses_of_the_old_model(old: Any) -> None:
    by_type = {fault.type: fault for fault in FAULTS.values()}
    for name, shape in old["shapes"].items():
        if shape.get("exception") and "error" in shape:
            fault = by_type[name]
            error = shape["error"]
            assert (fault.code, fault.status) == (error["code"], error["httpStatusCode"]), name


@pytest.mark.proof  # it installs a package
def test_the_old_model_s_flattened_names_are_those_of_query(old: Any) -> None:
    shapes = old["shapes"]
    for name, operation in old["operations"].items():
        for member, (kind, element) in flattened(shapes, operation["input"]["shape"]).items():
            if kind == "map":
                assert query.MAPS[member] == element, (name, member)
            else:
                expected = SQS.operations[name].entry if member == "Entries" else query.LISTS[member]
                assert expected == element, (name, member)
        output = operation.get("output", {}).get("shape")
        assert SQS.operations[name].has_result == (output is not None), name
        for member, (kind, element) in (flattened(shapes, output) if output else {}).items():
            if kind == "map":
                assert answer.MAPS[member] == element, (name, member)
            else:
                assert (answer.LISTS.get(member) or f"{name}ResultEntry") == element, (name, member)


def flattened(shapes: Any, name: str) -> dict[str, tuple[str, Any]]:
    """The lists and maps in a structure, wherever they are, and what their elements are called."""
    found: dict[str, tuple[str, Any]] = {}
    for member, reference in shapes[name].get("members", {}).items():
        shape = shapes[reference["shape"]]
        if shape["type"] == "list" and member != "BinaryListValues":
            found[member] = ("list", shape["member"]["locationName"])
            found |= flattened(shapes, shape["member"]["shape"])
        elif shape["type"] == "map":
            element = reference.get("locationName") or shape.get("locationName")
            if element is not None:
                key, value = shape["key"]["locationName"], shape["value"]["locationName"]
                found[member] = ("map", (element, key, value))
            found |= flattened(shapes, shape["value"]["shape"])
        elif shape["type"] == "structure":
            found |= flattened(shapes, reference["shape"])
    return found
