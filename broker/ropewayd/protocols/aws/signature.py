"""Signature Version 4: what a signed request says, and whether its signature is right.

Rule 1  Everything that is signed is recomputed from the bytes that came: path, query, headers, body.
Rule 2  Host and every X-Amz- header must be among the signed headers: what is not signed could be another's.
Rule 3  Signatures are compared in constant time, and an unknown key costs what a known one does.
Rule 4  The time lies within the skew, either way; a presigned request's within its own time as well.

No I/O, and no look at the clock: the time comes in.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from ropewayd.vocabulary.access_key import AccessKey
from ropewayd.vocabulary.errors import RopewayError

from .request import Request

ALGORITHM: Final = "AWS4-HMAC-SHA256"
MAX_EXPIRES: Final = 604_800
"""Seconds that a presigned request may be good for."""
_STAMP = re.compile(r"\d{8}T\d{6}Z\Z", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_EXPIRES = re.compile(r"[0-9]{1,6}\Z", re.ASCII)
_ODD: Final = b"\t\r\f\v"
"""Space that is not the blank."""
_SPACES = re.compile(rb"[ \t\r\n\f\v]+")
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_.~-]*[A-Za-z0-9_~-])*/?\Z")
_INNER: Final = bytes(each ^ 0x36 for each in range(256))
_OUTER: Final = bytes(each ^ 0x5C for each in range(256))
_NOBODY: Final = "no access key has this secret"


class SignatureDoesNotMatch(RopewayError):
    """The signature is not the one that the request and the secret give, or its time is over."""

    code = "SignatureDoesNotMatch"


class InvalidClientTokenId(RopewayError):
    """The access key, or the session token with it, is not known here."""

    code = "InvalidClientTokenId"


class MissingAuthenticationToken(RopewayError):
    """The call is not signed, and has to be."""

    code = "MissingAuthenticationToken"


class IncompleteSignature(RopewayError):
    """What says how the request is signed lacks a part, or has one that cannot be read."""

    code = "IncompleteSignature"


class Scope(msgspec.Struct, frozen=True, gc=False):
    """What a credential says: which key, and for what its signature is good."""

    key: str
    date: str
    region: str
    service: str


class _Terms(msgspec.Struct, frozen=True):
    """What a day of requests says alike about their signatures."""

    scope: Scope
    names: str
    """The signed headers, as they are given."""
    signed: frozenset[str]
    """The same."""
    lines: tuple[tuple[str, bytes], ...]
    """Of each, what its line begins with in the canonical request."""


class _Signed(msgspec.Struct, frozen=True):
    """What a request says about its signature."""

    terms: _Terms
    stamp: str
    signature: str
    token: str
    expires: int | None = None


_ALONE = 2047
"""From one more byte on hashlib lets go of the interpreter's lock."""
_HELD = 64 << 10
"""Bodies of more bytes let go of it. For one of 11 KiB that cost 14 us, twice what its hash takes."""


def scope_of(authorization: str | None, query: Mapping[str, str]) -> Scope | None:
    """The scope that a request claims, whether or not its signature is right; None if it claims none."""
    credential = query.get("X-Amz-Credential")
    if authorization is not None and authorization.startswith(ALGORITHM):
        _, _, rest = authorization.partition("Credential=")
        credential = rest.partition(",")[0].strip()
    if not credential:
        return None
    try:
        return _scope(credential)
    except IncompleteSignature:
        return None


def verify(
    request: Request, keys: Mapping[str, AccessKey], services: Iterable[str], now: int, skew: int
) -> Scope:
    """The scope of a request whose signature is right. `now` is seconds since 1970, `skew` as well.

    Raises SignatureDoesNotMatch, InvalidClientTokenId, MissingAuthenticationToken or IncompleteSignature.
    """
    path, _, query = request.target.partition("?")
    pairs = _pairs(query) if query else []
    fields = request.fields
    signed = _read(fields, pairs)
    terms = signed.terms
    scope = terms.scope
    key = keys.get(scope.key)
    _check_time(signed, now, skew)
    if scope.service not in services:
        raise SignatureDoesNotMatch(
            f"Credential should be scoped to correct service: {', '.join(services)!r}."
        )
    _check_headers(terms.signed, fields)
    payload = _hash_of(request.body)
    claimed = fields.get("x-amz-content-sha256")
    if claimed is not None and claimed != [payload.encode()]:
        raise SignatureDoesNotMatch("The header x-amz-content-sha256 is not the hash of the body.")
    said = canonical_query(pairs, "X-Amz-Signature" if signed.expires is not None else None) if pairs else ""
    lines = header_lines(terms.lines, request)
    canonical = canonical_request(request.method, path, said, lines, terms.names, payload)
    expected = sign(key.secret if key else _NOBODY, scope, signed.stamp, canonical)
    right = hmac.compare_digest(expected, signed.signature)
    if key is None:
        raise InvalidClientTokenId("The security token included in the request is invalid.")
    if not right:
        raise SignatureDoesNotMatch(
            "The request signature we calculated does not match the signature you provided. Check your AWS "
            "Secret Access Key and signing method. Consult the service documentation for details."
        )
    if (key.token or signed.token) and not hmac.compare_digest(
        key.token.encode(), signed.token.encode("utf-8", "surrogateescape")
    ):
        raise InvalidClientTokenId("The security token included in the request is invalid.")
    return scope


def _hash_of(body: bytes) -> str:
    """The SHA-256 of a body, in hexadecimal."""
    size = len(body)
    if not _ALONE < size <= _HELD:
        return hashlib.sha256(body).hexdigest()
    found, view = hashlib.sha256(), memoryview(body)
    for at in range(0, size, _ALONE):
        found.update(view[at : at + _ALONE])
    return found.hexdigest()


def sign(secret: str, scope: Scope, stamp: str, canonical: bytes) -> str:
    """The signature of a canonical request."""
    digest = hashlib.sha256(canonical).hexdigest()
    said = f"{ALGORITHM}\n{stamp}\n{scope.date}/{scope.region}/{scope.service}/aws4_request\n{digest}"
    inner, outer = _signing_key(secret, scope.date, scope.region, scope.service)
    inner, outer = inner.copy(), outer.copy()
    inner.update(said.encode())
    outer.update(inner.digest())
    return outer.hexdigest()


@functools.lru_cache(maxsize=1024)
def _signing_key(secret: str, date: str, region: str, service: str) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Good for a day, a region and a service: most calls find it made. It is kept as the two hashes that HMAC
    begins with (RFC 2104), which is most of the work of one."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    block = key.ljust(hashlib.sha256().block_size, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


# The canonical form


def canonical_request(method: str, path: str, query: str, lines: bytes, names: str, payload: str) -> bytes:
    """The canonical request. `path` is as it came; all else is canonical."""
    path = "/" if path == "/" else canonical_path(path)
    head = f"{method}\n{path}\n{query}\n".encode("latin-1")
    return head + lines + f"\n{names}\n{payload}".encode("latin-1")


def header_lines(names: Iterable[tuple[str, bytes]], request: Request) -> bytes:
    """The canonical lines of these headers, each given with what its line begins with."""
    fields = request.fields
    if len(fields) == len(request.headers):  # none is there twice
        lines = b"".join([begin + fields[name][0] + b"\n" for name, begin in names])
        spaced = b" " in lines and (b"  " in lines or b": " in lines or b" \n" in lines)
        if not spaced and lines.translate(None, _ODD) == lines:
            return lines
    # There may be space that does not count. Most clients send none.
    return b"".join([begin + b",".join(map(_trimmed, fields[name])) + b"\n" for name, begin in names])


def begin_of(name: str) -> tuple[str, bytes]:
    """A header's name, and what its canonical line begins with."""
    return name, f"{name}:".encode("latin-1", "replace")  # what Latin-1 has not is no header's name


def _trimmed(value: bytes) -> bytes:
    value = value.strip()
    return _SPACES.sub(b" ", value) if b"  " in value or b"\t" in value else value


def canonical_path(path: str) -> str:
    """The path without dot segments and empty segments, encoded once more."""
    if _PLAIN_PATH.match(path):
        return path or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    tail = "/" if path.endswith("/") and kept else ""
    return "/" + quote("/".join(kept).encode("utf-8", "surrogateescape"), safe="/~") + tail


def canonical_query(pairs: Iterable[tuple[str, str]], without: str | None = None) -> str:
    """The parameters encoded in one way and sorted, all but the one named."""
    return "&".join([f"{name}={value}" for name, value in sorted(pairs) if name != without])


def _pairs(query: str) -> list[tuple[str, str]]:
    """The parameters of a query string, each encoded in the one canonical way."""
    found = []
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        found.append((_encoded(name), _encoded(value)))
    return found


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.encode("utf-8", "surrogateescape")), safe="-_.~")


# What the request says about its signature


def _read(headers: Mapping[str, list[bytes]], pairs: list[tuple[str, str]]) -> _Signed:
    authorization = headers.get("authorization")
    if authorization is not None and not pairs and len(authorization) == 1:
        return _from_headers(authorization[0].decode("latin-1"), headers)
    named = [name for name, _ in pairs if name.startswith("X-Amz-")]
    presigned = "X-Amz-Algorithm" in named or "X-Amz-Signature" in named
    if authorization is None and not presigned:
        raise MissingAuthenticationToken("Request is missing Authentication Token")
    if authorization is not None and (presigned or len(authorization) > 1):
        raise IncompleteSignature("The request is signed more than once.")
    if authorization is not None:
        return _from_headers(authorization[0].decode("latin-1"), headers)
    if len(set(named)) < len(named):
        raise IncompleteSignature("The query string has a parameter of the signature more than once.")
    return _from_query(dict(pairs))


def _from_headers(authorization: str, headers: Mapping[str, list[bytes]]) -> _Signed:
    head, equals, signature = authorization.strip().rpartition("Signature=")
    if "," in signature:  # the signature may stand anywhere: then it is put at the end
        signature, _, rest = signature.partition(",")
        head = f"{head.rstrip(', ')}, {rest}" if "=" in head else f"{head}{rest}"
    terms = _parts(head.rstrip(", "))
    if not equals or not signature:
        raise IncompleteSignature("Authorization header requires 'Signature' parameter.")
    tokens = headers.get("x-amz-security-token")
    token = b",".join(tokens).decode("utf-8", "surrogateescape") if tokens else ""
    return _Signed(terms, _stamp(headers), _signature(signature.strip()), token)


@functools.lru_cache(maxsize=256)
def _parts(head: str) -> _Terms:
    """What an Authorization header says besides its signature."""
    algorithm, _, rest = head.partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"The Authorization header must begin with {ALGORITHM}.")
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in {"Credential", "SignedHeaders"} or name in parts:
            raise IncompleteSignature(
                "The Authorization header has a part that is not known, or has one twice."
            )
        parts[name] = value
    for name in ("Credential", "SignedHeaders"):
        if not parts.get(name):
            raise IncompleteSignature(f"Authorization header requires '{name}' parameter.")
    return _terms(parts["Credential"], parts["SignedHeaders"])


def _terms(credential: str, names: str) -> _Terms:
    scope, signed = _scope(credential), _names(names)
    return _Terms(scope, names, frozenset(signed), tuple(map(begin_of, signed)))


def _stamp(headers: Mapping[str, list[bytes]]) -> str:
    """The time as it is signed: X-Amz-Date, or else Date."""
    given = headers.get("x-amz-date") or headers.get("date")
    if not given:
        raise IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    text = given[0].decode("latin-1").strip()
    if len(given) == 1 and _STAMP.match(text):
        return text
    try:
        if "x-amz-date" in headers or len(given) > 1:
            raise ValueError
        return parsedate_to_datetime(text).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    except ValueError:
        raise IncompleteSignature("Date must be in ISO-8601 'basic format'.") from None


def _from_query(parameters: Mapping[str, str]) -> _Signed:
    given = {
        name: unquote_to_bytes(value).decode("utf-8", "surrogateescape") for name, value in parameters.items()
    }
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"):
        if not given.get(f"X-Amz-{name}"):
            raise IncompleteSignature(f"AWS query-string parameters must include 'X-Amz-{name}'.")
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise IncompleteSignature(f"X-Amz-Algorithm must be {ALGORITHM}.")
    if not _STAMP.match(given["X-Amz-Date"]):
        raise IncompleteSignature("X-Amz-Date must be in ISO-8601 'basic format'.")
    expires = given["X-Amz-Expires"]
    if not _EXPIRES.match(expires) or not 0 < int(expires) <= MAX_EXPIRES:
        raise IncompleteSignature(f"X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds.")
    return _Signed(
        _terms(given["X-Amz-Credential"], given["X-Amz-SignedHeaders"]),
        given["X-Amz-Date"],
        _signature(given["X-Amz-Signature"]),
        given.get("X-Amz-Security-Token", ""),
        int(expires),
    )


@functools.lru_cache(maxsize=256)
def _scope(credential: str) -> Scope:
    parts = unquote_to_bytes(credential).decode("latin-1").split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, the last aws4_request."
        )
    return Scope(*parts[:4])


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(";"))
    if list(names) != sorted(set(names)) or text != text.lower() or not all(names):
        raise IncompleteSignature("SignedHeaders must name each header once, in lower case and in order.")
    return names


def _signature(text: str) -> str:
    if not _HEX.match(text):
        raise IncompleteSignature("The signature must be 64 hexadecimal digits in lower case.")
    return text


# What must hold besides the signature


def _check_time(signed: _Signed, now: int, skew: int) -> None:
    if signed.stamp[:8] != signed.terms.scope.date:
        raise SignatureDoesNotMatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date."
        )
    at = _seconds(signed.stamp)
    if at > now + skew:
        raise SignatureDoesNotMatch(
            f"Signature not yet current: {signed.stamp} is later than now and {skew} seconds."
        )
    if at + (signed.expires if signed.expires is not None else skew) < now:
        raise SignatureDoesNotMatch(f"Signature expired: {signed.stamp} is too long ago.")


@functools.lru_cache(maxsize=64)
def _seconds(stamp: str) -> float:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise IncompleteSignature("Date must be in ISO-8601 'basic format'.") from None


def _check_headers(signed: frozenset[str], fields: Mapping[str, list[bytes]]) -> None:
    if not fields.keys() >= signed:
        missing = min(signed - fields.keys())
        raise SignatureDoesNotMatch(f"The signed header {missing!r} is not in the request.")
    if "host" not in signed:
        raise SignatureDoesNotMatch(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    unsigned = [name for name in fields if name[:6] == "x-amz-" and name not in signed]
    if unsigned:
        raise SignatureDoesNotMatch(
            f"There were headers present in the request which were not signed: {unsigned[0]}"
        )
