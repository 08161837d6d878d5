"""Signature Version 4: AWS's own examples, what botocore signs, and that nothing else gets through."""

from __future__ import annotations

import hashlib
import json
import random
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewayd.protocols.aws.request import Request
from ropewayd.protocols.aws.signature import (
    IncompleteSignature,
    InvalidClientTokenId,
    MissingAuthenticationToken,
    SignatureDoesNotMatch,
    begin_of,
    canonical_query,
    canonical_request,
    header_lines,
    verify,
)
from ropewayd.protocols.aws.signature import _pairs as pairs
from ropewayd.vocabulary.access_key import AccessKey
from ropewayd.vocabulary.errors import RopewayError

VECTORS = Path(__file__).parents[3].parent / "shared" / "facts" / "sigv4-vectors.json"
REFUSED = (SignatureDoesNotMatch, InvalidClientTokenId, MissingAuthenticationToken, IncompleteSignature)
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = {
    "AKIDONE": AccessKey(SECRET, "111122223333"),
    "AKIDTWO": AccessKey("another secret of many", "444455556666", token="session/token+="),
}
SERVICES = ("sqs", "sts")
SKEW = 900


def now() -> int:
    return int(datetime.now(UTC).timestamp())


# AWS's own examples


def cases() -> list[Any]:
    if not VECTORS.exists():
        return []
    document = json.loads(VECTORS.read_text(encoding="utf-8"))
    return [pytest.param(document, case, id=name) for name, case in document["cases"].items()]


def read(raw: str) -> Request:
    """A request as the examples write one: a line can go on in the next, and a path can have spaces."""
    head, _, body = raw.partition("\n\n")
    first, *lines = head.split("\n")
    method, _, rest = first.partition(" ")
    target = rest.rpartition(" ")[0]
    headers: list[tuple[bytes, bytes]] = []
    for line in lines:
        if line.startswith(" "):
            name, value = headers.pop()
            headers.append((name, value + b" " + line.strip().encode()))
        else:
            name_text, _, value_text = line.partition(":")
            headers.append((name_text.encode(), value_text.encode()))
    return Request(method, target, headers, body.encode())


@pytest.mark.skipif(not VECTORS.exists(), reason="AWS's examples are not beside this checkout")
@pytest.mark.parametrize(("document", "case"), cases())
def test_aws_s_own_examples(document: dict[str, Any], case: dict[str, str]) -> None:
    signed_one = read(case["sreq"])
    # One of the signed requests has another signature than its Authorization header: the header is right.
    headers = [(n, case["authz"].encode() if n == b"Authorization" else v) for n, v in signed_one.headers]
    request = Request(signed_one.method, signed_one.target, headers, signed_one.body)
    at = int(datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp())
    token = b"".join(value for name, value in request.headers if name == b"X-Amz-Security-Token").decode()
    secret = "".join(document["secret_key_in_two_parts"])
    signed = case["authz"].partition("SignedHeaders=")[2].partition(",")[0].split(";")

    path, _, query = request.target.partition("?")
    payload = hashlib.sha256(request.body).hexdigest()
    lines = header_lines(list(map(begin_of, signed)), request)
    found = canonical_request(
        request.method, path, canonical_query(pairs(query)), lines, ";".join(signed), payload
    )
    assert found.decode() == case["creq"]
    keys = {document["access_key"]: AccessKey(secret, "1" * 12, token)}
    if "x-amz-security-token" in signed or not token:
        scope = verify(request, keys, ("service",), at, SKEW)
        assert scope.key == document["access_key"]
    else:
        # A token that is not signed could be another's.
        with pytest.raises(SignatureDoesNotMatch, match="not signed"):
            verify(request, keys, ("service",), at, SKEW)


# What botocore signs


SEGMENT = st.text(st.sampled_from("aZ09-_.~ %+=&;:@!$'()*,/ä€😀"), max_size=12)
PATHS = st.lists(SEGMENT, max_size=4).map(lambda parts: "/" + "/".join(quote(p, safe="-_.~") for p in parts))
PIECE = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
QUERIES = st.lists(st.tuples(PIECE.filter(lambda n: not n.startswith("X-Amz-")), PIECE), max_size=5)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10)
VALUES = st.lists(VALUE, min_size=1, max_size=3).map("  ".join)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "X-Amz-Target", "X-Custom", "x-amzn-query-mode", "Accept", "X-Amz-More"]
    ),
    VALUES,
)


@st.composite
def signed(draw: st.DrawFn) -> tuple[Request, AWSRequest]:
    """A request as it goes over the wire, and as botocore saw it."""
    key = draw(st.sampled_from(sorted(KEYS)))
    presigned = draw(st.booleans())
    method = draw(st.sampled_from(["GET", "POST", "PUT"]))
    body = b"" if presigned else draw(st.binary(max_size=40))
    query = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in draw(QUERIES))
    url = f"http://localhost:4566{draw(PATHS)}" + (f"?{query}" if query else "")
    headers = draw(HEADERS)
    asked = AWSRequest(method=method, url=url, data=body, headers={"Host": "localhost:4566", **headers})
    known = KEYS[key]
    credentials = Credentials(key, known.secret, known.token or None)
    region, service = draw(st.sampled_from(["us-east-1", "eu-central-1"])), draw(st.sampled_from(SERVICES))
    if presigned:
        SigV4QueryAuth(credentials, service, region, expires=draw(st.integers(1, 604_800))).add_auth(asked)
    else:
        SigV4Auth(credentials, service, region).add_auth(asked)
    place = urlsplit(asked.url)
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    wire = [(name.encode(), str(value).encode()) for name, value in asked.headers.items()]
    return Request(method, target, wire, body), asked


def accepted(request: Request, at: int) -> bool:
    try:
        verify(request, KEYS, SERVICES, at, SKEW)
    except REFUSED:
        return False
    return True


# What nobody signed


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Mutant:
    """One change to a request that says something else than what was signed. None: no such change there."""

    def __init__(self, request: Request, dice: random.Random) -> None:
        self.request = request
        self.dice = dice
        self.signed = self._signed()

    def _signed(self) -> list[str]:
        said = [v.decode("latin-1") for n, v in self.request.headers if n == b"Authorization"]
        text = " ".join([self.request.target, *said])
        names = text.partition("SignedHeaders=")[2].partition("&")[0].partition(",")[0]
        return names.replace("%3B", ";").split(";")

    def make(self) -> Request | None:
        kinds = [name for name in dir(self) if name.startswith("do_")]
        made: Request | None = getattr(self, self.dice.choice(kinds))()
        return None if made == self.request else made

    def changed(self, text: str) -> str:
        """The text with one letter or digit for another."""
        places = [p for p, c in enumerate(text) if c in LETTERS and "%" not in text[max(0, p - 2) : p]]
        if not places:
            return text
        place = self.dice.choice(places)
        other = self.dice.choice([c for c in LETTERS if c != text[place]])
        return text[:place] + other + text[place + 1 :]

    def having(self, **parts: Any) -> Request:
        whole = {name: getattr(self.request, name) for name in ("method", "target", "headers", "body")}
        return Request(**{**whole, **parts})

    def header(self, change: Any) -> Request | None:
        """With one signed header changed: `change` gives the pairs that stand in its place."""
        names = [name.decode().lower() for name, _ in self.request.headers]
        chosen = [place for place, name in enumerate(names) if name in self.signed]
        if not chosen:
            return None
        place = self.dice.choice(chosen)
        headers = list(self.request.headers)
        headers[place : place + 1] = change(*headers[place])
        return self.having(headers=headers)

    def do_method(self) -> Request | None:
        return self.having(method="DELETE")

    def do_path(self) -> Request | None:
        path, mark, query = self.request.target.partition("?")
        return self.having(target=path.rstrip("/") + "/x" + mark + query)

    def do_path_letter(self) -> Request | None:
        path, mark, query = self.request.target.partition("?")
        kept = [part for part in path.split("/") if part not in {"", ".", ".."}]
        if not kept or ".." in path.split("/"):
            return None
        return self.having(target=path.replace(kept[-1], self.changed(kept[-1])) + mark + query)

    def do_query_letter(self) -> Request | None:
        path, mark, query = self.request.target.partition("?")
        return self.having(target=path + mark + self.changed(query)) if query else None

    def do_query_more(self) -> Request | None:
        joint = "&" if "?" in self.request.target else "?"
        return self.having(target=f"{self.request.target}{joint}more=1")

    def do_query_twice(self) -> Request | None:
        path, mark, query = self.request.target.partition("?")
        return self.having(target=f"{path}?{query}&{query.split('&')[0]}") if mark else None

    def do_query_encoded_again(self) -> Request | None:
        path, mark, query = self.request.target.partition("?")
        return self.having(target=path + mark + query.replace("%", "%25", 1)) if "%" in query else None

    def do_path_encoded_again(self) -> Request | None:
        path, mark, query = self.request.target.partition("?")
        if "%" not in path or ".." in path.split("/"):
            return None
        return self.having(target=path.replace("%", "%25", 1) + mark + query)

    def do_header_value(self) -> Request | None:
        return self.header(lambda name, value: [(name, value + b"x")])

    def do_header_letter(self) -> Request | None:
        return self.header(lambda name, value: [(name, self.changed(value.decode()).encode())])

    def do_header_gone(self) -> Request | None:
        return self.header(lambda name, value: [])

    def do_header_twice(self) -> Request | None:
        return self.header(lambda name, value: [(name, value), (name, value)])

    def do_header_unsigned(self) -> Request | None:
        return self.having(headers=[*self.request.headers, (b"X-Amz-Extra", b"1")])

    def do_body(self) -> Request | None:
        return self.having(body=self.request.body + b"x")

    def do_body_byte(self) -> Request | None:
        body = bytearray(self.request.body)
        if not body:
            return None
        body[self.dice.randrange(len(body))] ^= 1 << self.dice.randrange(8)
        return self.having(body=bytes(body))

    def authorization(self, change: Any) -> Request | None:
        """With one change to what says how it is signed."""
        said = self.request.headers
        headers = [(n, change(v.decode()).encode() if n == b"Authorization" else v) for n, v in said]
        if headers != list(self.request.headers):
            return self.having(headers=headers)
        target = change(self.request.target.replace("%2F", "/").replace("%3B", ";"))
        plain = self.request.target.replace("%2F", "/").replace("%3B", ";")
        return self.having(target=target) if target != plain else None

    def do_signature(self) -> Request | None:
        digit = self.dice.choice("0123456789abcdef")

        def change(text: str) -> str:
            before, mark, rest = text.partition("Signature=")
            place = self.dice.randrange(64)
            return before + mark + rest[:place] + digit + rest[place + 1 :]

        return self.authorization(change)

    def do_scope(self) -> Request | None:
        for old, new in (("us-east-1", "us-west-2"), ("eu-central-1", "us-east-1")):
            made = self.authorization(lambda text, old=old, new=new: text.replace(old, new, 1))
            if made is not None:
                return made
        return None

    def do_service(self) -> Request | None:
        swapped = {"/sqs/": "/sts/", "/sts/": "/sqs/"}
        old = self.dice.choice(sorted(swapped))
        return self.authorization(lambda text: text.replace(old + "aws4", swapped[old] + "aws4", 1))

    def do_key(self) -> Request | None:
        old, new = self.dice.choice([("AKIDONE", "AKIDTWO"), ("AKIDTWO", "AKIDONE"), ("AKID", "BKID")])
        return self.authorization(lambda text: text.replace(old, new, 1))

    def do_signed_headers(self) -> Request | None:
        return self.authorization(lambda text: text.replace("SignedHeaders=", "SignedHeaders=a-one;", 1))

    def do_host_unsigned(self) -> Request | None:
        return self.authorization(lambda text: text.replace("host;", "", 1))

    def do_token(self) -> Request | None:
        return self.having(headers=[*self.request.headers, (b"X-Amz-Security-Token", b"mine")])

    def do_twice_signed(self) -> Request | None:
        return self.having(headers=[*self.request.headers, (b"Authorization", b"AWS4-HMAC-SHA256 C=x")])

    def do_algorithm(self) -> Request | None:
        return self.authorization(lambda text: text.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", 1))


def prove(case: tuple[Request, AWSRequest], dice: random.Random, mutants: int) -> None:
    request, _ = case
    stamps = re.findall(r"[0-9]{8}T[0-9]{6}Z", f"{request.target} {request.headers}")
    at = int(datetime.strptime(stamps[-1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())
    verify(request, KEYS, SERVICES, at, SKEW)
    made = 0
    for _ in range(mutants * 20):
        mutant = Mutant(request, dice).make()
        if mutant is None:
            continue
        assert not accepted(mutant, at), (request, mutant)
        made += 1
        if made == mutants:
            break
    assert made == mutants
    signed_until = 604_800 if "X-Amz-Expires" in request.target else SKEW
    assert not accepted(request, at + signed_until + 60)
    assert not accepted(request, at - SKEW - 60)


@given(signed(), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_what_botocore_signs_is_accepted_and_nothing_else(
    case: tuple[Request, AWSRequest], dice: random.Random
) -> None:
    prove(case, dice, 10)


@pytest.mark.proof
@given(signed(), st.integers(0, 2**64))
@settings(max_examples=10_000)
def test_ten_thousand_signed_requests_and_a_hundred_thousand_mutants(
    case: tuple[Request, AWSRequest], seed: int
) -> None:
    prove(case, random.Random(seed), 10)


# Rules that a mutation does not reach


def ask(**headers: str) -> Request:
    return Request("POST", "/", [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()], b"")


PARTS = f"Credential=AKIDONE/20150830/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature={'0' * 64}"
GOOD = f"AWS4-HMAC-SHA256 {PARTS}"
DATE = "20150830T123600Z"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (ask(Host="x"), MissingAuthenticationToken),
        (ask(Host="x", Authorization="Basic eDp5"), IncompleteSignature),
        (ask(Host="x", Authorization="AWS4-HMAC-SHA256 "), IncompleteSignature),
        (ask(Host="x", Authorization=GOOD), IncompleteSignature),
        (ask(Host="x", X_Amz_Date="yesterday", Authorization=GOOD), IncompleteSignature),
        (ask(Host="x", X_Amz_Date=DATE, Authorization=f"{GOOD}, {PARTS}"), IncompleteSignature),
        (ask(Host="x", X_Amz_Date=DATE, Authorization=GOOD), SignatureDoesNotMatch),
        (ask(Host="x", X_Amz_Date="20151330T123600Z", Authorization=GOOD), SignatureDoesNotMatch),
    ],
)
def test_what_is_wrong_with_a_signature_is_told_by_its_code(
    asked: Request, error: type[RopewayError]
) -> None:
    with pytest.raises(error):
        verify(asked, KEYS, SERVICES, now(), SKEW)


def test_an_unknown_key_is_told_as_such_whatever_the_signature() -> None:
    asked = AWSRequest(method="POST", url="http://localhost/", data=b"", headers={"Host": "localhost"})
    SigV4Auth(Credentials("AKIDNONE", SECRET), "sqs", "us-east-1").add_auth(asked)
    wire = [(name.encode(), str(value).encode()) for name, value in asked.headers.items()]
    with pytest.raises(InvalidClientTokenId):
        verify(Request("POST", "/", wire, b""), KEYS, SERVICES, now(), SKEW)
