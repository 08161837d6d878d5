"""Who is let in, and what each side proves."""

import hashlib
import hmac
from typing import Any

import pytest

from ropewayd.protocols.binary.handshake import Handshake, Hello, client_proof, server_proof
from ropewayd.protocols.binary.settings import BinaryLimits
from ropewayd.vocabulary.errors import AccessDenied, InvalidParameterValue

SECRET = "correct horse battery"
NONCE = b"n" * 32


def handshake(**keys: str) -> Handshake:
    return Handshake(BinaryLimits(), keys, "123456789012", "eu-west-1")


def test_the_greeting_tells_the_limits_and_a_new_nonce_each_time() -> None:
    first, second = handshake().greeting(), handshake(me=SECRET).greeting()
    assert first["protocol"] == "ropeway"
    assert first["versions"] == [1, 1]
    assert first["limits"] == {"frame": 1 << 24, "requests": 1024, "bytes": 1 << 25, "batch": 1000}
    assert (first["keys"], second["keys"]) == (False, True)
    assert len(first["nonce"]) == len(second["nonce"]) == 32
    assert first["nonce"] != second["nonce"]


def test_without_keys_anyone_is_let_in_and_nothing_is_proved() -> None:
    for hello in (Hello(1), Hello(1, key="me", nonce=NONCE, proof=b"x" * 32)):
        answer = handshake().answer(hello)
        assert answer == {"version": 1, "account": "123456789012", "region": "eu-west-1", "proof": None}


@pytest.mark.parametrize("version", [0, 2, 1 << 31])
def test_another_version_is_refused(version: int) -> None:
    with pytest.raises(InvalidParameterValue, match="speaks version 1") as raised:
        handshake().answer(Hello(version))
    assert raised.value.field == "version"


def test_proofs_are_as_the_document_says() -> None:
    secret, theirs, ours = "pässword", b"s" * 32, b"c" * 32
    said = b"ropeway client\0" + theirs + ours + b"me"
    assert client_proof(secret, theirs, ours, "me") == hmac.digest("pässword".encode(), said, hashlib.sha256)
    said = b"ropeway server\0" + ours + theirs + b"me"
    assert server_proof(secret, theirs, ours, "me") == hmac.digest("pässword".encode(), said, hashlib.sha256)


def test_who_proves_a_key_is_let_in_and_gets_a_proof() -> None:
    shaking = handshake(you="x" * 20, me=SECRET)
    nonce = shaking.greeting()["nonce"]
    answer = shaking.answer(Hello(1, key="me", nonce=NONCE, proof=client_proof(SECRET, nonce, NONCE, "me")))
    assert answer["proof"] == server_proof(SECRET, nonce, NONCE, "me")


@pytest.mark.parametrize(
    "change",
    [
        {"key": None}, {"nonce": None}, {"proof": None}, {"key": "you"}, {"key": "ME"}, {"key": ""},
        {"nonce": b"m" * 32}, {"proof": b"\0" * 32}, {"key": None, "nonce": None, "proof": None},
    ],
)  # fmt: skip
def test_anything_less_is_denied_in_words_that_do_not_tell_keys_apart(change: dict[str, Any]) -> None:
    shaking = handshake(me=SECRET)
    proof = client_proof(SECRET, shaking.greeting()["nonce"], NONCE, "me")
    with pytest.raises(AccessDenied) as raised:
        shaking.answer(Hello(1, **({"key": "me", "nonce": NONCE, "proof": proof} | change)))
    assert raised.value.field == "key"
    assert SECRET not in raised.value.message
    if None not in change.values():
        assert "not known here, or the proof" in raised.value.message


def test_a_proof_is_good_for_its_own_connection_and_side_only() -> None:
    first, second = handshake(me=SECRET), handshake(me=SECRET)
    nonces = first.greeting()["nonce"], second.greeting()["nonce"]
    replayed = client_proof(SECRET, nonces[0], NONCE, "me")
    reflected = server_proof(SECRET, nonces[1], NONCE, "me")
    for proof in (replayed, reflected):
        with pytest.raises(AccessDenied):
            second.answer(Hello(1, key="me", nonce=NONCE, proof=proof))


def test_an_empty_secret_is_no_way_in_for_an_unknown_key() -> None:
    shaking = handshake(me=SECRET)
    proof = client_proof("", shaking.greeting()["nonce"], NONCE, "nobody")
    with pytest.raises(AccessDenied):
        shaking.answer(Hello(1, key="nobody", nonce=NONCE, proof=proof))
