"""Filter policies: each operator, AWS's refusals, and a naive evaluator that must agree."""

import fnmatch
import ipaddress
import json
import random
from decimal import Decimal
from typing import Any

import pytest

from ropewayd.topics.filter_policy import FilterPolicy, Seen
from ropewayd.vocabulary.errors import RopewayError

ATTRIBUTES, BODY = "MessageAttributes", "MessageBody"


def read(policy: Any, scope: str = BODY) -> FilterPolicy:
    found = FilterPolicy.read(json.dumps(policy), scope)
    assert isinstance(found, FilterPolicy), found
    return found


def takes_body(policy: Any, body: Any) -> bool:
    return read(policy).takes(Seen.of_body(json.dumps(body)))


def takes_attributes(policy: Any, attributes: dict[str, Any]) -> bool:
    return read(policy, ATTRIBUTES).takes(Seen.of_attributes(attributes))


@pytest.mark.parametrize(
    ("pattern", "taken", "refused"),
    [
        (["a", "b"], ["a", "b", ["x", "b"]], ["c", "A", 1, None, [], ["x"]]),
        ([1, 2.5], [1, 1.0, 2.5, 2.500001, [7, 1]], ["1", 1.00002, True, None]),
        ([True], [True], [False, "true", 1]),
        ([None], [None], [0, "", False]),
        ([{"prefix": "ab"}], ["ab", "abc"], ["a", "xab", 1]),
        ([{"suffix": "bc"}], ["bc", "abc"], ["c", "bcx", 1]),
        ([{"equals-ignore-case": "aBc"}], ["abc", "ABC"], ["ab", 1]),
        ([{"wildcard": "a*c*e"}], ["ace", "abcde", "acce", "ac*e"], ["ac", "abce\n", "aecb"]),
        ([{"wildcard": "*x*"}], ["x", "axa"], ["a", ""]),
        ([{"wildcard": "a\\*b"}], ["a*b"], ["axb"]),
        ([{"wildcard": "ab*ba"}], ["abba", "abxba"], ["aba"]),
        ([{"exists": True}], ["", 0, None, ["a"]], [[]]),
        ([{"exists": False}], [[]], ["", 0, None, ["a"]]),
        ([{"numeric": ["=", 100]}], [100, 100.0], [99, "100"]),
        ([{"numeric": [">", 0, "<=", 5]}], [0.00001, 5], [0, 5.00001, "1"]),
        ([{"numeric": ["<", 0]}], [-1, -0.00001], [0, 1]),
        ([{"numeric": [">=", -1.5]}], [-1.5, 9e9], [-1.50001]),
        ([{"cidr": "10.0.0.0/24"}], ["10.0.0.0", "10.0.0.255"], ["10.0.1.0", "x", "::1", 10]),
        ([{"cidr": "2001:db8::/32"}], ["2001:db8::1"], ["2001:db9::1", "10.0.0.1"]),
        ([{"anything-but": "a"}], ["b", 1, None, ["a", "b"]], ["a", ["a"], []]),
        ([{"anything-but": ["a", "b"]}], ["c", 1], ["a", "b"]),
        ([{"anything-but": [1, 2]}], [3, "1"], [1, 2.0]),
        ([{"anything-but": {"prefix": "a"}}], ["b", 1], ["a", "ab"]),
        ([{"anything-but": {"suffix": ["a", "b"]}}], ["c"], ["xa", "xb"]),
        ([{"anything-but": {"wildcard": "a*z"}}], ["b"], ["az", "abz"]),
        ([{"anything-but": {"equals-ignore-case": ["a", "B"]}}], ["c"], ["A", "b"]),
    ],
    ids=json.dumps,
)
def test_an_operator(pattern: Any, taken: list[Any], refused: list[Any]) -> None:
    for value in taken:
        assert takes_body({"k": pattern}, {"k": value, "other": 1}), value
    for value in refused:
        assert not takes_body({"k": pattern}, {"k": value, "other": 1}), value
    absent = {"exists": False} in pattern
    assert takes_body({"k": pattern}, {"other": 1}) == absent


def test_keys_are_nested_dotted_and_in_arrays() -> None:
    for policy in ({"a": {"b": ["x"]}}, {"a.b": ["x"]}):
        assert takes_body(policy, {"a": {"b": "x"}})
        assert takes_body(policy, {"a": [{"b": "y"}, {"b": ["z", "x"]}]})
        assert not takes_body(policy, {"a": "x"})
        assert not takes_body(policy, {"b": "x"})
    assert takes_body({"a.b": ["x"]}, {"a.b": "x"})
    both = {"a": {"b": [1], "c": [2]}}
    assert takes_body(both, {"a": [{"b": 1, "c": 2}]})
    assert not takes_body(both, {"a": [{"b": 1}, {"c": 2}]})
    assert takes_body({"a": {"b": [{"exists": False}]}}, {})
    for body in ("[]", '"x"', "no json", "\ud800"):
        assert not read({"a": [{"exists": False}]}).takes(Seen.of_body(body.encode(errors="replace")))


def test_one_of_the_alternatives_is_enough() -> None:
    policy = {"a": [1], "$or": [{"b": [1]}, {"c": {"d": [1]}}]}
    assert takes_body(policy, {"a": 1, "b": 1})
    assert takes_body(policy, {"a": 1, "c": {"d": 1}})
    assert not takes_body(policy, {"a": 1})
    assert not takes_body(policy, {"b": 1})


def test_attributes_have_types() -> None:
    string, number, array = ("String", "1"), ("Number", "1.0"), ("String.Array", '["a", 1, true, null]')
    assert takes_attributes({"k": ["1"]}, {"k": string})
    assert not takes_attributes({"k": [1]}, {"k": string})
    assert takes_attributes({"k": [1]}, {"k": number})
    assert not takes_attributes({"k": ["1.0"]}, {"k": number})
    for value in ("a", 1, True, None):
        assert takes_attributes({"k": [value]}, {"k": array})
    assert not takes_attributes({"k": ["b"]}, {"k": array})
    assert takes_attributes({"k": [{"exists": False}]}, {"k": ("Binary", b"x")})
    assert not takes_attributes({"k": [{"exists": True}]}, {"k": ("Binary", b"x")})
    assert not takes_attributes({"k": ["x"]}, {"k": ("String.Array", "no json")})


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ([], "Filter policy must be an object"),
        ({"a": "b"}, '"a" must be an object or an array'),
        ({"a": []}, "Empty arrays are not allowed"),
        ({"a": {}}, "Empty objects are not allowed"),
        ({"a": [["b"]]}, "Match value must be String, number, true, false, or null"),
        ({"a": [{"nothing": "b"}]}, "Unrecognized match type nothing"),
        ({"a": [{"prefix": "a", "suffix": "b"}]}, "Only one key allowed in match expression"),
        ({"a": [{"prefix": 1}]}, "prefix match pattern must be a string"),
        ({"a": [{"exists": "yes"}]}, "exists match pattern must be either true or false."),
        ({"a": [{"anything-but": {"numeric": 1}}]}, "Unsupported anything-but pattern: numeric"),
        ({"a": [{"numeric": 1}]}, "Value of numeric must be an array."),
        ({"a": [{"numeric": ["<", 1, ">", 0]}]}, "Too many terms in numeric range expression"),
        ({"a": [{"numeric": [">", 1, ">", 0]}]}, "Bad numeric range operator: >"),
        ({"a": [{"numeric": [">", 1, "<", 1]}]}, "Bottom must be less than top"),
        ({"a": [{"numeric": [">", "1"]}]}, "Value of > must be numeric"),
        ({"a": [{"numeric": ["~", 1]}]}, "Unrecognized numeric range operator: ~"),
        ({"a": [1e10]}, "Value must be between -1.0E9 and 1.0E9, inclusive"),
        ({"a": [{"wildcard": "a**"}]}, "Consecutive wildcard characters are not allowed"),
        ({"$or": [{"a": [1]}]}, 'There must have at least 2 Objects in "$or" relationship.'),
        ({k: [1] for k in "abcdef"}, "Filter policy can not have more than 5 keys"),
        ({"a": list(range(20)), "b": list(range(8))}, "Filter policy is too complex"),
    ],
    ids=str,
)
def test_what_aws_refuses_is_refused_in_its_words(policy: Any, reason: str) -> None:
    found = FilterPolicy.read(json.dumps(policy), BODY)
    assert isinstance(found, RopewayError)
    assert found.message.endswith(f"Reason: FilterPolicy: {reason}")


def test_the_limits_are_where_they_are() -> None:
    read({"a": list(range(15)), "b": list(range(10))})
    read({"a": {"b": {"c": list(range(50))}}})
    found = FilterPolicy.read(json.dumps({"a": {"b": {"c": list(range(51))}}}), BODY)
    assert isinstance(found, RopewayError)
    nested = FilterPolicy.read('{"a": {"b": ["x"]}}', ATTRIBUTES)
    assert isinstance(nested, RopewayError)
    assert nested.message.endswith(
        "Filter policy scope MessageAttributes does not support nested filter policy"
    )
    for text in ("{", "[" * 10_000, '{"a": ["' + "x" * 300_000 + '"]}', '{"a":' * 400 + "[1]" + "}" * 400):
        assert isinstance(FilterPolicy.read(text, BODY), RopewayError)


# A naive evaluator


def naive(policy: dict[str, Any], body: Any) -> bool:
    """The policy as its text reads, without any preparation."""
    if isinstance(body, list):
        return any(naive(policy, each) for each in body) if body else naive(policy, {})
    held = body if isinstance(body, dict) else {}
    for key, wanted in policy.items():
        if key == "$or":
            if not any(naive(each, held) for each in wanted):
                return False
        elif isinstance(wanted, dict):
            if not naive(wanted, held.get(key, {})):
                return False
        elif not naive_leaf(wanted, scalars(held[key]) if key in held else []):
            return False
    return True


def scalars(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [one for each in value for one in scalars(each)]
    return [] if isinstance(value, dict) else [value]


def naive_leaf(patterns: list[Any], values: list[Any]) -> bool:
    if not values:
        return {"exists": False} in patterns
    return any(naive_match(pattern, value) for pattern in patterns for value in values)


def number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(Decimal(repr(value)), 5)


def naive_match(pattern: Any, value: Any) -> bool:  # noqa: C901  # one branch an operator
    if not isinstance(pattern, dict):
        if number(pattern) is not None:
            return number(pattern) == number(value)
        return type(pattern) is type(value) and bool(pattern == value)
    [(name, given)] = pattern.items()
    if name == "exists":
        return bool(given)
    if name == "numeric":
        told = number(value)
        compare = {
            "=": lambda a, b: a == b,
            "<": lambda a, b: a < b,
            "<=": lambda a, b: a <= b,
            ">": lambda a, b: a > b,
            ">=": lambda a, b: a >= b,
        }
        pairs = zip(given[::2], given[1::2], strict=True)
        return told is not None and all(compare[op](told, number(bound)) for op, bound in pairs)
    if name == "anything-but":
        if isinstance(given, dict):
            [(inner, texts)] = given.items()
            several = texts if isinstance(texts, list) else [texts]
            return not any(naive_match({inner: text}, value) for text in several)
        return not any(naive_match(each, value) for each in (given if isinstance(given, list) else [given]))
    if not isinstance(value, str):
        return False
    if name == "prefix":
        return bool(value[: len(given)] == given)
    if name == "suffix":
        return bool(value[::-1][: len(given)] == given[::-1])
    if name == "wildcard":
        return fnmatch.fnmatchcase(value, given)
    if name == "equals-ignore-case":
        return bool(value.lower() == given.lower())
    assert name == "cidr"
    try:
        address, network = ipaddress.ip_address(value), ipaddress.ip_network(given)
    except ValueError:
        return False
    return address.version == network.version and int(address) >> 8 == int(network.network_address) >> 8


TEXTS = ["", "a", "b", "ab", "Ab", "ba", "aab", "10.0.0.7", "10.0.1.7"]
NUMBERS = [-2, 0, 1, 1.5, 2, 1.00001, 1.000001]


def random_pattern(dice: random.Random) -> Any:
    text = dice.choice(TEXTS[1:7])
    low, high = sorted(dice.sample([-2, 0, 1, 1.5, 2], 2))
    name = dice.choice(["prefix", "suffix", "wildcard", "equals-ignore-case"])
    wild = dice.choice(["*", "a*", "*b", "a*b", "*a*b*", "ab"])
    texts = {name: wild if name == "wildcard" else text}
    return dice.choice(
        [
            text,
            dice.choice(NUMBERS),
            dice.choice([True, False, None]),
            texts,
            {"exists": dice.random() < 0.5},
            {"cidr": "10.0.0.0/24"},
            {"numeric": [dice.choice(["=", "<", "<=", ">", ">="]), dice.choice(NUMBERS)]},
            {"numeric": [dice.choice([">", ">="]), low, dice.choice(["<", "<="]), high]},
            {"anything-but": dice.choice([text, [text, "b"], [1, 2], 1, texts])},
        ]
    )


def random_policy(dice: random.Random, depth: int = 0) -> dict[str, Any]:
    policy: dict[str, Any] = {}
    for key in dice.sample("xyz", dice.choice([1, 1, 2])):
        if depth < 2 and dice.random() < 0.3:
            policy[key] = random_policy(dice, depth + 1)
        else:
            policy[key] = [random_pattern(dice) for _ in range(dice.choice([1, 1, 2, 3]))]
    if depth < 2 and dice.random() < 0.2:
        policy["$or"] = [random_policy(dice, depth + 1) for _ in range(2)]
    return policy


def random_body(dice: random.Random, depth: int = 0) -> Any:
    if depth < 3 and dice.random() < (1 if depth == 0 else 0.35):
        return {key: random_body(dice, depth + 1) for key in "xyz" if dice.random() < 0.8}
    if depth < 3 and dice.random() < 0.2:
        return [random_body(dice, depth + 1) for _ in range(dice.choice([0, 1, 2]))]
    return dice.choice([*TEXTS, *NUMBERS, True, False, None])


@pytest.mark.parametrize("seed", range(4))
def test_a_naive_evaluator_agrees(seed: int) -> None:
    dice = random.Random(seed)
    taken = judged = 0
    while judged < 4000:
        policy = random_policy(dice)
        found = FilterPolicy.read(json.dumps(policy), BODY)
        if isinstance(found, RopewayError):
            assert "Filter policy" in found.message
            continue
        for _ in range(8):
            body = random_body(dice)
            judged += 1
            wanted = found.takes(Seen.of_body(json.dumps(body)))
            assert wanted == naive(policy, body), (policy, body)
            taken += wanted
    assert 400 < taken < 3600
