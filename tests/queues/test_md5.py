"""The digests, against values that AWS's own service gave, and against their definition."""

import hashlib
import struct

from hypothesis import given
from hypothesis import strategies as st

from ropewayd.queues.md5 import md5_of_attributes, md5_of_body, md5_of_system_attributes

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
ATTRIBUTES = st.dictionaries(
    TEXT,
    st.tuples(st.sampled_from(["String", "String.label", "Number", "Number.int"]), TEXT)
    | st.tuples(st.sampled_from(["Binary", "Binary.png"]), st.binary(min_size=1, max_size=20)),
    min_size=1,
    max_size=10,
)


def test_values_that_the_service_gave() -> None:
    assert md5_of_body("This is a test message") == "fafb00f5732ab283681e124bf8747ed1"
    assert md5_of_attributes({"timestamp": ("Number", "1493147359900")}) == "235c5c510d26fb653d073faed50ae77c"
    attributes = {
        "ccc": ("String", "testjunk"),
        "aaa": ("Binary", b"\x02\x03\x04"),
        "zzz": ("Number", "0230.01"),
        "öther_encodings": ("String", "Tüst"),
    }
    assert md5_of_attributes(attributes) == "8ae21a7957029ef04146b42aeaa18a22"


@given(ATTRIBUTES)
def test_the_order_of_the_attributes_is_that_of_their_names(
    attributes: dict[str, tuple[str, str | bytes]],
) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    for name, (kind, value) in sorted(attributes.items()):
        raw = value.encode() if isinstance(value, str) else value
        for part in (name.encode(), kind.encode()):
            digest.update(struct.pack(">I", len(part)) + part)
        digest.update(bytes([2 if isinstance(value, bytes) else 1]) + struct.pack(">I", len(raw)) + raw)
    backwards = dict(reversed(attributes.items()))
    assert md5_of_attributes(attributes) == md5_of_attributes(backwards) == digest.hexdigest()


def test_what_is_not_there_has_no_digest() -> None:
    assert md5_of_attributes(None) is None
    assert md5_of_attributes({}) is None
    assert md5_of_system_attributes(None) is None


def test_system_attributes_have_a_digest_of_their_own() -> None:
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    assert md5_of_system_attributes(trace) == md5_of_attributes({"AWSTraceHeader": ("String", trace)})


def test_a_body_of_bytes_is_digested_as_it_is() -> None:
    assert md5_of_body("grüße") == md5_of_body("grüße".encode())
