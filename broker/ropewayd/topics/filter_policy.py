"""Filter policies: which messages a subscription wants. Pure: a policy is compiled once and asked often.

A policy is a JSON object. Each of its keys names something of the message, and its array says what that may
be: one of the values, or what one of the operators takes. All keys must be satisfied, and of the objects in
`$or` one. In the scope MessageAttributes the keys are message attributes (String, Number, and String.Array,
of which one element is enough; Binary is not looked at); in MessageBody they are those of the body, a JSON
object, and can be nested.

Numbers are compared to five decimals, as AWS does. What is not there is taken by `{"exists": false}` alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from ropewayd.vocabulary.errors import InvalidParameterValue, RopewayError

ATTRIBUTES: Final = "MessageAttributes"
MAX_BYTES: Final = 262_144
MAX_KEYS: Final = 5
MAX_COMPLEXITY: Final = 150
MAX_NUMBER: Final = 1e9
_SCALE: Final = 100_000
_FARTHEST: Final = 1e15
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,4})?\Z", re.ASCII)
_OR: Final = "$or"

Test = Callable[[Any], bool]


class _Refused(Exception):
    """The policy is not valid, in AWS's words."""


class Leaf:
    """What one key may be."""

    __slots__ = ("absent", "constants", "numbers", "present", "tests", "texts", "width")

    def __init__(self, patterns: list[Any]) -> None:
        self.width = len(patterns)
        self.texts: set[str] = set()
        self.numbers: set[int] = set()
        self.constants: set[bool | None] = set()
        self.tests: list[Test] = []
        self.present = self.absent = False
        for pattern in patterns:
            if type(pattern) is dict:
                self._operator(pattern)
            elif type(pattern) is str:
                self.texts.add(pattern)
            elif type(pattern) in (int, float):
                self.numbers.add(_bounded(pattern))
            elif pattern is None or type(pattern) is bool:
                self.constants.add(pattern)
            else:
                raise _Refused("Match value must be String, number, true, false, or null")

    def _operator(self, pattern: dict[str, Any]) -> None:
        if len(pattern) != 1:
            raise _Refused("Only one key allowed in match expression")
        [(name, value)] = pattern.items()
        if name == "exists":
            if type(value) is not bool:
                raise _Refused("exists match pattern must be either true or false.")
            self.present, self.absent = self.present or value, self.absent or not value
            return
        self.tests.append(_test(name, value))

    def matches(self, values: list[Any]) -> bool:
        """Whether one of the values that the key has is wanted; none at all is that it is not there."""
        if not values:
            return self.absent
        if self.present:
            return True
        texts, tests = self.texts, self.tests
        for value in values:
            kind = type(value)
            if kind is str:
                if value in texts:
                    return True
            elif kind is bool or value is None:
                if value in self.constants:
                    return True
            elif self.numbers and _scaled(value) in self.numbers:
                return True
            for test in tests:
                if test(value):
                    return True
        return False


class Seen:
    """An object of a message that is held against policies: what each key has is looked for once, however
    many policies ask."""

    __slots__ = ("held", "known")

    def __init__(self, held: dict[str, Any], known: dict[str, list[Any]] | None = None) -> None:
        self.held = held
        self.known: dict[str, list[Any]] = known if known is not None else {}
        """The values of keys that were asked for."""

    @classmethod
    def of_attributes(cls, attributes: Mapping[str, Any]) -> Seen:
        """Message attributes, name to (type, value)."""
        return cls({}, {name: _values(*held) for name, held in attributes.items()})

    @classmethod
    def of_body(cls, body: str | bytes) -> Seen | None:
        """A body; None where it is no JSON object."""
        try:
            held = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return cls(held) if type(held) is dict else None

    def values(self, key: str) -> list[Any]:
        """All that a key has, in arrays too."""
        found = [one for each in _found(self.held, key) for one in _flat(each)]
        self.known[key] = found
        return found


class Node:
    """An object of the policy: keys that must all be satisfied, and alternatives of which one must be."""

    __slots__ = ("alternatives", "leaves", "nodes")

    def __init__(self, policy: dict[str, Any], depth: int = 1) -> None:
        if depth > MAX_COMPLEXITY:
            raise _Refused("Filter policy is too complex")
        self.leaves: list[tuple[str, Leaf]] = []
        self.nodes: list[tuple[str, Node]] = []
        self.alternatives: list[list[Node]] = []
        for key, value in policy.items():
            if key == _OR:
                if (
                    type(value) is not list
                    or len(value) < 2
                    or any(type(v) is not dict or not v for v in value)
                ):
                    raise _Refused('There must have at least 2 Objects in "$or" relationship.')
                self.alternatives.append([Node(each, depth) for each in value])
            elif type(value) is dict:
                if not value:
                    raise _Refused("Empty objects are not allowed")
                self.nodes.append((key, Node(value, depth + 1)))
            elif type(value) is list:
                if not value:
                    raise _Refused("Empty arrays are not allowed")
                self.leaves.append((key, Leaf(value)))
            else:
                raise _Refused(f'"{key}" must be an object or an array')

    def takes(self, seen: Seen) -> bool:
        """Whether this object of a message is wanted."""
        known = seen.known
        for key, leaf in self.leaves:
            values = known.get(key)
            if not leaf.matches(seen.values(key) if values is None else values):
                return False
        for key, node in self.nodes:
            if not any(node.takes_body(each) for each in list(_found(seen.held, key)) or [{}]):
                return False
        return all(any(each.takes(seen) for each in several) for several in self.alternatives)

    def takes_body(self, value: Any) -> bool:
        """Whether this part of a body is wanted; of an array one element is enough."""
        if type(value) is list:
            return any(self.takes_body(each) for each in value) if value else self.takes(Seen({}))
        return self.takes(Seen(value if type(value) is dict else {}))

    def paths(self, before: str = "") -> Iterator[str]:
        """Every leaf by its path."""
        for key, _ in self.leaves:
            yield before + key
        for key, node in self.nodes:
            yield from node.paths(f"{before}{key}.")
        for several in self.alternatives:
            for each in several:
                yield from each.paths(before)

    def complexity(self, depth: int = 1) -> int:
        """How many combinations of values there are, each key's counted as often as it is deep."""
        total = 1
        for _, leaf in self.leaves:
            total *= leaf.width * depth
        for _, node in self.nodes:
            total *= node.complexity(depth + 1)
        for several in self.alternatives:
            total *= sum(each.complexity(depth) for each in several)
        return total


class FilterPolicy:
    """See the module."""

    __slots__ = ("by_body", "root")

    def __init__(self, root: Node, *, by_body: bool) -> None:
        self.root = root
        self.by_body = by_body
        """Whether it looks at bodies, and not at attributes."""

    @classmethod
    def read(cls, text: str, scope: str) -> FilterPolicy | RopewayError:
        """The policy that was given, or what is wrong with it, in AWS's words."""
        try:
            if len(text.encode()) > MAX_BYTES:
                raise _Refused(f"Filter policy can not have more than {MAX_BYTES} bytes")
            policy = cls.compiled(text, scope)
            root = policy.root
            if len(set(root.paths())) > MAX_KEYS:
                raise _Refused(f"Filter policy can not have more than {MAX_KEYS} keys")
            if root.complexity() > MAX_COMPLEXITY:
                raise _Refused("Filter policy is too complex")
        except _Refused as refused:
            return _wrong(f"FilterPolicy: {refused}")
        if scope == ATTRIBUTES and _is_nested(root):
            return _wrong("Filter policy scope MessageAttributes does not support nested filter policy")
        return policy

    @classmethod
    def compiled(cls, text: str, scope: str) -> FilterPolicy:
        """A policy that was read before."""
        try:
            policy = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _Refused("failed to parse JSON.") from None
        if type(policy) is not dict:
            raise _Refused("Filter policy must be an object")
        return cls(Node(policy), by_body=scope != ATTRIBUTES)

    def takes(self, seen: Seen | None) -> bool:
        """Whether a message is wanted of which this is to be looked at; None: a body that is no object."""
        return seen is not None and self.root.takes(seen)


def _wrong(reason: str) -> InvalidParameterValue:
    return InvalidParameterValue(
        f"The attribute filter_policy is not valid. Reason: {reason}", "attributes.filter_policy"
    )


def _is_nested(node: Node) -> bool:
    return bool(node.nodes) or any(_is_nested(each) for several in node.alternatives for each in several)


# What a message has


def _values(kind: str, value: Any) -> list[Any]:
    """The values of a message attribute; none if it is of a type that is not looked at."""
    if kind == "String.Array":
        try:
            found = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return []
        return _flat(found) if type(found) is list else []
    base = kind.partition(".")[0]
    if base == "String":
        return [value]
    if base == "Number":
        try:
            return [int(value)]
        except ValueError:
            return [float(value)] if _is_float(value) else []
    return []


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _flat(value: Any) -> list[Any]:
    """The values in an array, however deep; an object is none."""
    if type(value) is list:
        return [one for each in value for one in _flat(each)]
    return [] if type(value) is dict else [value]


def _found(held: dict[str, Any], key: str) -> Iterator[Any]:
    """What a key leads to: a key with dots in it leads inside as well."""
    if key in held:
        yield held[key]
    at = key.find(".")
    while at > 0:
        inner = held.get(key[:at])
        for each in inner if type(inner) is list else [inner]:
            if type(each) is dict:
                yield from _found(each, key[at + 1 :])
        at = key.find(".", at + 1)


def _scaled(value: Any) -> int | None:
    """A number to five decimals; None if it is none, or beyond all that can be asked for."""
    if type(value) is int:
        return value * _SCALE
    if type(value) is float and -_FARTHEST < value < _FARTHEST:
        return round(value * _SCALE)
    return None


# Operators


def _bounded(value: Any) -> int:
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise _Refused("Value must be between -1.0E9 and 1.0E9, inclusive")
    scaled = _scaled(value)
    assert scaled is not None
    return scaled


def _test(name: str, value: Any) -> Test:
    if name == "anything-but":
        return _anything_but(value)
    if name == "numeric":
        return _numeric(value)
    if name == "cidr":
        return _cidr(value)
    made = _TEXT.get(name)
    if made is None:
        raise _Refused(f"Unrecognized match type {name}")
    return made(_text(name, value))


def _text(name: str, value: Any) -> str:
    if type(value) is not str:
        raise _Refused(f"{name} match pattern must be a string")
    if not value and name in ("prefix", "suffix"):
        raise _Refused("Null prefix/suffix not allowed")
    return value


def _prefix(text: str) -> Test:
    return lambda value: type(value) is str and value.startswith(text)


def _suffix(text: str) -> Test:
    return lambda value: type(value) is str and value.endswith(text)


def _ignoring_case(text: str) -> Test:
    folded = text.casefold()
    return lambda value: type(value) is str and value.casefold() == folded


def _wildcard(text: str) -> Test:
    r"""`*` stands for any characters, `\*` for itself and `\\` for a backslash."""
    if re.search(r"(?<!\\)(\\\\)*\*\*", text):
        raise _Refused("Consecutive wildcard characters are not allowed")
    parts = [""]
    at = 0
    while at < len(text):
        if text[at] == "\\":
            if text[at + 1 : at + 2] not in ("*", "\\"):
                raise _Refused("Invalid escape character in wildcard pattern")
            parts[-1] += text[at + 1]
            at += 1
        elif text[at] == "*":
            parts.append("")
        else:
            parts[-1] += text[at]
        at += 1
    first, *middle, last = parts if len(parts) > 1 else [parts[0], ""]
    exact = len(parts) == 1

    def test(value: Any) -> bool:
        if type(value) is not str:
            return False
        if exact:
            return value == first
        if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
            return False
        place, end = len(first), len(value) - len(last)
        for part in middle:
            place = value.find(part, place, end)
            if place < 0:
                return False
            place += len(part)
        return True

    return test


_TEXT: Final[Mapping[str, Callable[[str], Test]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _ignoring_case,
    "wildcard": _wildcard,
}


def _anything_but(value: Any) -> Test:
    if type(value) is dict:
        if len(value) != 1:
            raise _Refused("Only one key allowed in match expression")
        [(name, inner)] = value.items()
        made = _TEXT.get(name)
        if made is None:
            raise _Refused(f"Unsupported anything-but pattern: {name}")
        tests = [made(_text(name, each)) for each in (inner if type(inner) is list and inner else [inner])]
        return lambda given: not any(test(given) for test in tests)
    several = value if type(value) is list else [value]
    if not several:
        raise _Refused("Empty arrays are not allowed")
    if all(type(each) is str for each in several):
        texts = frozenset(several)
        return lambda given: type(given) is not str or given not in texts
    if all(type(each) in (int, float) for each in several):
        numbers = frozenset(_bounded(each) for each in several)
        return lambda given: _scaled(given) not in numbers
    if any(type(each) not in (int, float, str) for each in several):
        raise _Refused("Inside anything but list, start|null|boolean is not supported.")
    raise _Refused(
        "Inside anything but list, either all values are number or string, mixed type is not supported"
    )


_LOWER: Final = {">": 1, ">=": 0}
_UPPER: Final = {"<": -1, "<=": 0}


def _numeric(value: Any) -> Test:
    if type(value) is not list:
        raise _Refused("Value of numeric must be an array.")
    if len(value) not in (2, 4):
        raise _Refused(
            "Invalid member in numeric match: a numeric match has one or two operators, each with a value"
        )
    operators, bounds = value[::2], value[1::2]
    for operator in operators:
        if type(operator) is not str or operator not in ("=", *_LOWER, *_UPPER):
            raise _Refused(f"Unrecognized numeric range operator: {operator}")
    for operator, bound in zip(operators, bounds, strict=True):
        if type(bound) not in (int, float):
            raise _Refused(f"Value of {operator} must be numeric")
    least, most = _range(operators, [_bounded(bound) for bound in bounds])

    def test(given: Any) -> bool:
        scaled = _scaled(given)
        return scaled is not None and least <= scaled <= most

    return test


def _range(operators: list[str], limits: list[int]) -> tuple[float, float]:
    """The least and the greatest number, scaled, that these take."""
    first, second = operators[0], operators[1] if len(operators) > 1 else None
    if second is None:
        if first == "=":
            return limits[0], limits[0]
        if first in _LOWER:
            return limits[0] + _LOWER[first], float("inf")
        return -float("inf"), limits[0] + _UPPER[first]
    if first not in _LOWER:
        raise _Refused("Too many terms in numeric range expression")
    if second not in _UPPER:
        raise _Refused(f"Bad numeric range operator: {second}")
    if limits[0] >= limits[1]:
        raise _Refused("Bottom must be less than top")
    return limits[0] + _LOWER[first], limits[1] + _UPPER[second]


def _cidr(value: Any) -> Test:
    try:
        network = ipaddress.ip_network(_text("cidr", value), strict=False)
    except ValueError:
        raise _Refused(f"Malformed CIDR, one '/' required: {value[:100]}") from None
    if "/" not in value:
        raise _Refused("Malformed CIDR, one '/' required")

    def test(given: Any) -> bool:
        if type(given) is not str or len(given) > 64:
            return False
        try:
            return ipaddress.ip_address(given) in network
        except ValueError:
            return False

    return test
