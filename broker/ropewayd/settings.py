"""Every setting of the daemon, each written once: its type, default, range and meaning.

All else derives from these classes: the flags and variables, `conf/ropeway.toml`, what `ropewayd config`
prints, and the checks. Where values come from is the business of sources.py.

Rule 1  A setting is known by its path, `section.name`. Its variable is ROPEWAY_SECTION_NAME and its flag
        --section-name, and those of [daemon], which people type, do without the section. So does --http.
Rule 2  Durations are seconds, sizes are bytes, unless the name says otherwise.
Rule 3  Every bound that the daemon puts on a peer or on itself is a setting, and every setting has a bound.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from ropewayd.deliveries.answering import EXCERPT
from ropewayd.outgoing import MIB, Email, Firehose, Functions, Push, Sms, Subscribers
from ropewayd.vocabulary.names import ACCOUNT, REGION


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """The process: where it keeps things, where it listens, and how it stops."""

    data_dir: Annotated[
        str,
        Meta(
            min_length=1, description="Where all that is durable is kept. Made, with mode 0700, if missing."
        ),
    ] = "./data"
    listen: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            max_length=64,
            description="Addresses to serve: HOST:PORT or unix:PATH. Beyond loopback, keys are required.",
        ),
    ] = ("127.0.0.1:4565",)
    socket_mode: Annotated[
        str, Meta(pattern="^0[0-7]{3}$", description="Permissions of the Unix sockets in listen, in octal.")
    ] = "0600"
    account: Annotated[
        str,
        Meta(
            pattern=f"^{ACCOUNT}$",
            description="The account that a queue belongs to unless its ARN is given, twelve digits.",
        ),
    ] = "000000000000"
    region: Annotated[
        str,
        Meta(
            pattern=f"^{REGION}$", description="The region that a queue belongs to unless its ARN is given."
        ),
    ] = "us-east-1"
    drain_timeout: Annotated[
        float,
        Meta(ge=0.1, le=3600, description="How long a stop may take: answers leave, then the store closes."),
    ] = 10.0


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """TLS. With a certificate, every TCP address speaks TLS and nothing else; Unix sockets never do."""

    certificate: Annotated[
        str, Meta(description="PEM file: the certificate, then those it hangs on. Empty: no TLS.")
    ] = ""
    key: Annotated[str, Meta(description="PEM file: the certificate's private key.")] = ""


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Access keys. With at least one, every client must prove that it knows one."""

    file: Annotated[
        str,
        Meta(
            description='File of keys, a line each: id = "secret"; see `ropewayd key`. Its mode must be 0600.'
        ),
    ] = ""
    secrets: Annotated[
        dict[
            Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,128}$")],
            Annotated[str, Meta(min_length=16, max_length=1024)],
        ],
        Meta(
            max_length=10_000,
            description="Keys by id, each secret 16 characters or more; asks the same mode of this file.",
            extra={"secret": True},
        ),
    ] = {}


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What is said on standard error. Never a message body, a key or a receipt handle."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least important line that is shown."),
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="auto is console on a terminal and json elsewhere."),
    ] = "auto"


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """What one peer of the binary protocol may cost."""

    max_connections: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Open connections. Each takes a file descriptor.")
    ] = 16_000
    max_frame: Annotated[
        int,
        Meta(
            ge=2 * MIB, le=16 * MIB, description="Bytes of a frame, both ways. The protocol ends at 16 MiB."
        ),
    ] = 16 * MIB
    max_requests: Annotated[
        int, Meta(ge=1, le=65_536, description="Requests that a connection may have outstanding.")
    ] = 1024
    max_request_bytes: Annotated[
        int,
        Meta(
            ge=2 * MIB, le=1024 * MIB, description="Bytes of requests that a connection may have outstanding."
        ),
    ] = 32 * MIB
    max_unsent: Annotated[
        int,
        Meta(ge=2 * MIB, le=1024 * MIB, description="Bytes of answers that a peer may leave untaken."),
    ] = 8 * MIB
    handshake_timeout: Annotated[
        float, Meta(ge=0.1, le=3600, description="From the connection to a good Hello.")
    ] = 10.0
    frame_timeout: Annotated[
        float, Meta(ge=0.1, le=3600, description="From the first byte of a frame to its last.")
    ] = 30.0
    idle_timeout: Annotated[
        float,
        Meta(
            ge=1, le=604_800, description="A connection with nothing outstanding that stays silent so long."
        ),
    ] = 3600.0
    write_timeout: Annotated[
        float,
        Meta(ge=0.1, le=3600, description="A peer that takes no byte of its answers for so long is cut off."),
    ] = 30.0


class Http(msgspec.Struct, frozen=True, kw_only=True):
    """The AWS face: HTTP as the AWS SDKs and the aws CLI speak it, and what one peer of it may cost."""

    listen: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            max_length=64,
            description="Addresses: HOST:PORT or unix:PATH, or none. Beyond loopback, keys are required.",
            extra={"flag": "--http"},
        ),
    ] = ("127.0.0.1:4566",)
    public_url: Annotated[
        str,
        Meta(
            pattern="^(https?://[^/\\s]+)?$",
            description="What QueueUrls begin with, as http://queues:4566. Empty: as the client called us.",
        ),
    ] = ""
    origins: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            max_length=1000,
            description="Web origins whose pages may call, besides those of this machine; * lets all in.",
        ),
    ] = ()
    hosts: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            max_length=1000,
            description="Names, without a port, under which /metrics and calls by GET are answered where no "
            "key proves who asks; addresses, names without dots and those in .localhost always are.",
        ),
    ] = ()
    max_connections: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Open connections. Each takes a file descriptor.")
    ] = 16_000
    max_header: Annotated[
        int, Meta(ge=1024, le=MIB, description="Bytes of a request's first line, and of each of its headers.")
    ] = 16_384
    max_headers: Annotated[int, Meta(ge=10, le=10_000, description="Headers of a request.")] = 100
    max_body: Annotated[
        int,
        Meta(ge=2 * MIB, le=64 * MIB, description="Bytes of a request's body, packed as well as unpacked."),
    ] = 4 * MIB
    max_parameters: Annotated[
        int,
        Meta(
            ge=1000,
            le=1_000_000,
            description="Parameters of a request of the Query protocol, and strings of a JSON one.",
        ),
    ] = 2_000
    header_timeout: Annotated[
        float,
        Meta(ge=0.1, le=3600, description="From the first byte of a request to the end of its headers."),
    ] = 10.0
    body_timeout: Annotated[
        float, Meta(ge=0.1, le=3600, description="From the end of the headers to the end of the body.")
    ] = 30.0
    idle_timeout: Annotated[
        float, Meta(ge=1, le=604_800, description="A connection without a request for so long is closed.")
    ] = 75.0
    write_timeout: Annotated[
        float, Meta(ge=0.1, le=3600, description="A peer that leaves its answer untaken so long is cut off.")
    ] = 30.0
    slow_call: Annotated[
        float,
        Meta(ge=0.001, le=3600, description="A call that takes longer, its wait apart, is a warning."),
    ] = 1.0
    skew: Annotated[
        float,
        Meta(
            ge=1, le=604_800, description="How far a signature's time may be from this machine's, either way."
        ),
    ] = 900.0
    metrics: Annotated[
        Literal["local", "all"],
        Meta(description="Who sees /metrics where there are keys: local is this machine; all, everyone."),
    ] = "local"
    metrics_queues: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Queues with lines of their own in /metrics.")
    ] = 1000


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """The engine between the protocols and the store."""

    max_batch_bytes: Annotated[
        int,
        Meta(ge=65_536, le=64 * MIB, description="A commit holds no more than this, or one larger request."),
    ] = MIB
    max_polls: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Long polls that may wait at one time.")
    ] = 100_000
    tail_bytes: Annotated[
        int,
        Meta(
            ge=MIB,
            le=16 * 1024 * MIB,
            description="The journal's tail, which bounds a restart. Messages spill from half of it on.",
        ),
    ] = 64 * MIB
    slice_bytes: Annotated[
        int, Meta(ge=4096, le=16 * MIB, description="About what one step of spilling writes.")
    ] = MIB // 8
    low_space_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1024 * 1024 * MIB,
            description="Free disk space below which sends and creations are refused; 0 watches nothing.",
        ),
    ] = 64 * MIB
    scrub_round: Annotated[
        float,
        Meta(
            ge=0,
            le=31_536_000,
            description="All that is on disk is read again, for damage, once in so long; 0 is never.",
        ),
    ] = 86_400.0
    max_store_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=2**50,
            description="What the store holds, in bytes on disk, beyond which nothing is added; 0: no limit.",
        ),
    ] = 0
    enough_space_bytes: Annotated[
        int,
        Meta(ge=0, le=1024 * 1024 * MIB, description="Free disk space from which they are taken again."),
    ] = 128 * MIB
    idle_spill_after: Annotated[
        float,
        Meta(ge=0.01, le=86_400, description="A tail that nothing was added to for so long is spilled."),
    ] = 1.0


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """What SQLite may use."""

    cache_bytes: Annotated[
        int, Meta(ge=MIB, le=64 * 1024 * MIB, description="Pages that are kept in memory.")
    ] = 8 * MIB
    wal_bytes: Annotated[
        int,
        Meta(
            ge=MIB,
            le=16 * 1024 * MIB,
            description="The write-ahead log is folded in beyond this size. Commits wait for that:"
            " a small log makes short waits, a large one writes a little less.",
        ),
    ] = 4 * MIB
    reserve_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1024 * MIB,
            description="Set aside on disk, and given up when it is full, so that a stop finds room.",
        ),
    ] = 16 * MIB


class Queues(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on queues. Those on a queue's attributes are fixed, and AWS's."""

    max_queues: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Queues that may exist at one time.")
    ] = 100_000
    max_in_flight: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000_000,
            description="Messages of one standard queue in flight at one time; short polls beyond it get "
            "OverLimit.",
        ),
    ] = 120_000
    fifo_in_flight: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000_000,
            description="Messages of one FIFO queue in flight at one time; receives beyond it get nothing.",
        ),
    ] = 120_000
    limits: Annotated[
        Literal["aws", "none"],
        Meta(
            description="aws: the three limits of FIFO queues that follow count; none: they do not, whatever "
            "they say."
        ),
    ] = "aws"
    fifo_calls: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Calls of one action a second to a FIFO queue; each ten messages begun are a call.",
        ),
    ] = 300
    fifo_partitions: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="In high throughput a FIFO queue has so many partitions, each with such a limit.",
        ),
    ] = 30
    fifo_look: Annotated[
        int,
        Meta(
            ge=1,
            le=2**40,
            description="The first messages of a FIFO queue, which are looked through for an open group.",
        ),
    ] = 120_000
    purge_interval: Annotated[
        float,
        Meta(
            ge=0, le=3600, description="A queue can be purged once in so long. AWS has 60; 0 is at any time."
        ),
    ] = 0.0
    recreate_interval: Annotated[
        float,
        Meta(ge=0, le=3600, description="A deleted queue's name is free after it. AWS has 60; 0 is at once."),
    ] = 0.0
    max_queue_messages: Annotated[
        int,
        Meta(
            ge=0,
            le=2**40,
            description="Messages of one queue beyond which sends to it are refused; 0: no limit.",
        ),
    ] = 0
    max_queue_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=2**60,
            description="Bytes of one queue's messages beyond which sends to it are refused; 0: no limit.",
        ),
    ] = 0
    max_messages: Annotated[
        int,
        Meta(
            ge=0,
            le=2**40,
            description="Messages of all queues together beyond which sends are refused; 0: no limit.",
        ),
    ] = 0
    max_move_rate: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Messages that a move task moves out of its queue each second."),
    ] = 500
    memory_bytes: Annotated[
        int,
        Meta(
            ge=MIB,
            le=1024 * 1024 * MIB,
            description="Messages held in memory; beyond it, what is on disk stays there until needed.",
        ),
    ] = 128 * MIB


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on topics. Those on a topic's attributes are fixed, and AWS's."""

    max_topics: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Standard topics that may exist at one time.")
    ] = 100_000
    max_fifo_topics: Annotated[
        int, Meta(ge=1, le=10_000_000, description="FIFO topics that may exist at one time.")
    ] = 1_000
    max_subscriptions: Annotated[
        int,
        Meta(
            ge=1,
            le=12_500_000,
            description="Subscriptions of one standard topic. AWS has 12_500_000; each costs its share of "
            "every publish.",
        ),
    ] = 100_000
    max_fifo_subscriptions: Annotated[
        int, Meta(ge=1, le=100_000, description="Subscriptions of one FIFO topic.")
    ] = 100
    max_topic_policies: Annotated[
        int, Meta(ge=0, le=12_500_000, description="Filter policies of one topic.")
    ] = 200
    max_policies: Annotated[int, Meta(ge=0, le=12_500_000, description="Filter policies of one account.")] = (
        10_000
    )
    memory_bytes: Annotated[
        int,
        Meta(
            ge=MIB,
            le=1024 * 1024 * MIB,
            description="Deduplication ids of FIFO topics held in memory; beyond it, what is on disk stays "
            "there until needed.",
        ),
    ] = 16 * MIB
    deliveries: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Messages that are sent at one time to subscribers that are no queues, ...",
        ),
    ] = 200
    subscriber_deliveries: Annotated[int, Meta(ge=1, le=1_000, description="... and to one of them.")] = 10
    sign_queues: Annotated[
        Literal["off", "on"],
        Meta(
            description="on: what queues get in an envelope from standard topics is signed, as AWS's is. "
            "It costs more than all else of a publish."
        ),
    ] = "off"
    archives: Annotated[
        Literal["fifo", "all"],
        Meta(description="Which topics can have an archive: FIFO topics alone, as at AWS, or all."),
    ] = "fifo"
    max_farewells: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Subscriptions of one topic that ended and whose subscribers, who are told so, can "
            "have them again within two days; beyond it the oldest are forgotten. 0: nobody is told.",
        ),
    ] = 100
    max_replays: Annotated[
        int, Meta(ge=0, le=100_000, description="Replays of archives that may be under way at one time.")
    ] = 100
    replay_rate: Annotated[
        int, Meta(ge=1, le=100_000, description="Messages a second that one replay delivers.")
    ] = 3_000
    listener_timeout: Annotated[
        float,
        Meta(
            ge=1,
            le=86_400,
            description="Seconds after which the queue of a listener (Topic.listen) that says nothing any "
            "more is deleted. Listeners that live say so every 20 seconds.",
        ),
    ] = 300
    delivery_log: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Attempts to deliver that are remembered of each topic, in memory: so many failures, "
            "and as many successes; 0: none.",
        ),
    ] = 1_000
    delivery_log_bytes: Annotated[
        int,
        Meta(
            ge=MIB,
            le=64 * 1024 * MIB,
            description="What they may measure of all topics; beyond it the oldest go of the quietest topic.",
        ),
    ] = 16 * MIB
    delivery_log_excerpt: Annotated[
        int, Meta(ge=0, le=EXCERPT, description="Characters of a subscriber's answer that are remembered.")
    ] = 256


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Immutable: a change takes a restart."""

    daemon: Daemon = Daemon()
    tls: Tls = Tls()
    keys: Keys = msgspec.field(default_factory=Keys)
    log: Log = Log()
    protocol: Protocol = Protocol()
    http: Http = Http()
    kernel: Kernel = Kernel()
    store: Store = Store()
    queues: Queues = Queues()
    topics: Topics = Topics()
    subscribers: Subscribers = Subscribers()
    email: Email = Email()
    functions: Functions = Functions()
    firehose: Firehose = Firehose()
    sms: Sms = Sms()
    push: Push = Push()


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, as the derived things see it."""

    section: str
    name: str
    annotation: Any
    """What msgspec.convert takes: the type with its bounds."""
    default: Any
    meta: Meta

    @property
    def path(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        return "ROPEWAY_" + "_".join(self._words).upper()

    @property
    def flag(self) -> str | None:
        """None for what must not be typed: a command line can be read by every user of the machine."""
        if self.secret:
            return None
        own = (self.meta.extra or {}).get("flag")
        return str(own) if own else "--" + "-".join(self._words).replace("_", "-")

    @property
    def _words(self) -> tuple[str, ...]:
        return (self.name,) if self.section == "daemon" else (self.section, self.name)

    @property
    def type(self) -> Any:
        """The type without its bounds."""
        return get_args(self.annotation)[0]

    @property
    def kind(self) -> Any:
        """The type as a class: int, float, str, tuple, dict, or Literal."""
        return get_origin(self.type) or self.type

    @property
    def metavar(self) -> str:
        """What stands for the value in the help."""
        if self.kind is Literal:
            return "|".join(get_args(self.type))
        by_name = {
            "listen": "ADDRESS",
            "data_dir": "DIR",
            "file": "FILE",
            "certificate": "FILE",
            "key": "FILE",
        }
        return by_name.get(self.name, {int: "N", float: "N"}.get(self.kind, "TEXT"))

    @property
    def secret(self) -> bool:
        return bool((self.meta.extra or {}).get("secret"))

    @property
    def doc(self) -> str:
        assert self.meta.description
        return self.meta.description

    @property
    def expected(self) -> str:
        """The type and range in words, for errors and for the file of settings."""
        meta, kind = self.meta, self.kind
        if kind is Literal:
            return "one of " + ", ".join(get_args(self.type))
        if kind in (int, float):
            assert meta.ge is not None
            assert meta.le is not None, f"{self.path} has no bounds"
            noun = "an integer" if kind is int else "a number"
            return f"{noun} from {number(meta.ge)} to {number(meta.le)}"
        if kind is dict:
            return "a table of ids and secrets"
        if kind is tuple:
            return "a list of strings"
        return f"a string like {meta.pattern}" if meta.pattern else "a string"


def number(value: float) -> str:
    """A number without a needless fraction, and with its thousands marked as TOML takes them."""
    return f"{int(value):_}" if float(value).is_integer() else f"{value:_}"


def _settings(section: str, struct: type[msgspec.Struct]) -> Iterator[Setting]:
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        default = field.default
        if default is msgspec.NODEFAULT:
            assert not isinstance(field.default_factory, type(msgspec.NODEFAULT)), (
                f"{field.name} has no default"
            )
            default = field.default_factory()
        annotation = hints[field.name]
        yield Setting(
            section=section,
            name=field.name,
            annotation=annotation,
            default=default,
            meta=next(each for each in annotation.__metadata__ if isinstance(each, Meta)),
        )


@functools.cache
def sections() -> dict[str, type[msgspec.Struct]]:
    """Each section's name and class, in order."""
    return get_type_hints(Settings)


@functools.cache
def catalogue() -> dict[str, Setting]:
    """Every setting by its path, in order."""
    return {each.path: each for name, struct in sections().items() for each in _settings(name, struct)}


def shown(value: Any) -> str:
    """A default as the help shows it."""
    if isinstance(value, tuple):
        return ", ".join(value)
    return value if isinstance(value, str) else toml(value)


def toml(value: Any) -> str:
    """A setting's value as TOML."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, dict):
        inside = ", ".join(f"{toml(key)} = {toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return "[" + ", ".join(toml(each) for each in value) + "]"


def example() -> str:
    """The text of conf/ropeway.toml: every setting, with its meaning, range and default, commented out."""
    lines = [
        "# The settings of ropewayd, each with its default. Generated by `ropewayd config --example`.",
        "#",
        "# A flag overrides a variable, and a variable this file. `ropewayd --help` lists them both;",
        "# `ropewayd config` shows what is in force, and where it comes from.",
        "# Durations are seconds, sizes are bytes. Relative paths start at the daemon's working directory.",
    ]
    for section, struct in sections().items():
        lines += ["", "", *(f"# {line}" for line in (struct.__doc__ or "").split("\n")), f"[{section}]"]
        for setting in catalogue().values():
            if setting.section == section:
                ranged = setting.kind in (int, float, Literal)
                lines += ["", f"# {setting.doc}"]
                lines += [f"# {setting.expected[0].upper()}{setting.expected[1:]}."] if ranged else []
                lines += [f"#{setting.name} = {toml(setting.default)}"]
    return "\n".join(lines) + "\n"
