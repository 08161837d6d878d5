"""The composition: settings to store to kernel to services to protocols, and their life from start to stop.

Rule 1  Nothing is served before the store has recovered, and readiness is told when every address is served.
Rule 2  A stop goes the other way round: no new connections, then the kernel's last batch and the answers of
        the long polls, then the connections, then the store. It takes no longer than daemon.drain_timeout;
        LAST_WORDS where the daemon has failed, since then there is nothing to wait for.
Rule 3  Whatever goes wrong ends in one line and an exit code (exits.py), never in a traceback.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvloop

from ropewayd import __version__, descriptors, heap, logs
from ropewayd.abandoned import Abandoned
from ropewayd.deliveries.dispatcher import Dispatcher
from ropewayd.deliveries.seal import Seal
from ropewayd.deliveries.service import Deliveries
from ropewayd.deliveries.settings import DispatchLimits, LogLimits
from ropewayd.deliveries.signing import Signer
from ropewayd.deliveries.status_log import StatusLog
from ropewayd.deliveries.web_hook import WebHook
from ropewayd.devices import Devices
from ropewayd.ending import Ending, exit_for, frames
from ropewayd.exits import CLEAN, IO, SOFTWARE, Exit, Misconfigured
from ropewayd.kernel.batch import Reply
from ropewayd.kernel.kernel import Kernel, Report
from ropewayd.kernel.service import Service
from ropewayd.kernel.settings import KernelSettings
from ropewayd.kernel.wheel import Wheel
from ropewayd.keys import access_keys
from ropewayd.listeners import Listeners, check_reach, parse, shown
from ropewayd.logs import log
from ropewayd.mobile.service import Mobile
from ropewayd.mobile.settings import MobileLimits
from ropewayd.notify import Notifier, inherited_sockets
from ropewayd.protocols.aws.settings import HttpLimits
from ropewayd.protocols.binary.server import BinaryServer
from ropewayd.protocols.binary.settings import BinaryLimits
from ropewayd.queues.service import Queues
from ropewayd.queues.settings import QueueLimits
from ropewayd.senders import make_application, make_senders, make_web
from ropewayd.settings import Settings
from ropewayd.signed_publishing import SignedPublishing
from ropewayd.sources import Configuration
from ropewayd.store.protocol import StoreError
from ropewayd.store.sqlite import SqliteStore
from ropewayd.texting.phones import Phones
from ropewayd.texting.service import Texting
from ropewayd.texting.settings import TextingLimits
from ropewayd.tls import server_context
from ropewayd.topics.service import Topics
from ropewayd.topics.settings import TopicLimits
from ropewayd.upkeep.service import Upkeep
from ropewayd.vocabulary.access_key import AccessKey
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.clock import SystemClock

if TYPE_CHECKING:
    from ropewayd.protocols.aws.server import HttpServer

GC_THRESHOLDS: Final = (50_000, 20, 50)
"""Python's own are 700, 10, 10: over half a million objects that is a pause of 40 to 75 ms every few seconds
of load. Hot records are not tracked by the collector, and what it still looks at is seldom garbage."""

START_PATIENCE: Final = 60.0
"""Seconds of more time that a start which still recovers asks the service manager for, as often as needed."""

STORE_SHARE: Final = 0.5
"""The part of daemon.drain_timeout that slow readers may not use up, so that the store can close in order."""


GRACE: Final = 5.0
"""Seconds that a sender has beyond its own time-out to say that it is over."""

MAX_FUNCTION: Final = 900.0
"""Seconds that a function may take at most."""

LAST_WORDS: Final = 1.0
"""Seconds that peers have to take their last answers when the daemon has failed, and the store to close."""


def serve(configuration: Configuration) -> int:
    """Run the daemon until it is told to stop; gives the exit code."""
    logs.configure(configuration.settings.log.level, configuration.settings.log.format)
    heap.share()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Daemon(configuration, os.environ).run())
    except Exception as error:  # noqa: BLE001 - the last line of Rule 3
        found = exit_for(error)
        log.error(found.sentence, exit_code=found.code)
        if found.code == SOFTWARE:
            log.debug("traceback", lines=frames(error))
        return found.code
    return CLEAN


class Daemon:
    """One life of the daemon. Everything that can be found wrong before the store is touched is, here."""

    def __init__(self, configuration: Configuration, environ: MutableMapping[str, str]) -> None:
        self._began = time.monotonic()
        self._settings = configuration.settings
        self._notifier = Notifier(environ)
        inherited = inherited_sockets(environ)
        self._listeners = Listeners(inherited)
        self._read_keys = functools.partial(access_keys, configuration, environ.get("CREDENTIALS_DIRECTORY"))
        self._keys = self._read_keys()
        self._tls = server_context(configuration)
        blame = configuration.blame("daemon.listen")
        # Sockets that the service manager opened stand in for the default address.
        by_default = configuration.origins["daemon.listen"].kind == "default"
        written = () if inherited and by_default else self._settings.daemon.listen
        self._addresses = [address for text in written for address in parse(text, blame)]
        if not self._addresses and not inherited:
            raise Misconfigured(f"{blame} is empty: there is nothing to serve")
        check_reach(self._addresses, inherited, bool(self._keys), blame)
        blame = configuration.blame("http.listen")
        texts = () if self._settings.http.listen == ("none",) else self._settings.http.listen
        self._http_addresses = [address for text in texts for address in parse(text, blame)]
        check_reach(self._http_addresses, (), bool(self._keys), blame)
        self._http_listeners = Listeners()
        self._signer = Signer(Path(self._settings.daemon.data_dir))
        self._phones = Phones(texting_limits(self._settings))
        seal = Seal(self._signer, self._address)
        self._senders = make_senders(configuration, environ.get("CREDENTIALS_DIRECTORY"), self._phones, seal)
        hook = WebHook(make_web(configuration, not self._keys), seal)
        self._senders |= {"http": hook, "https": hook}
        self._make_application = functools.partial(make_application, configuration)
        self._dispatcher: Dispatcher | None = None
        self._signed: SignedPublishing | None = None
        self._abandoned: Abandoned | None = None
        self._store = make_store(self._settings)

    async def run(self) -> None:
        """Start, serve, stop. Raises Exit, StoreError or OSError where that fails."""
        loop = asyncio.get_running_loop()
        ending = Ending(loop)
        clock = SystemClock()
        wheel = Wheel(clock.now())
        queues = Queues(wheel, queue_limits(self._settings))
        owner = f"ropewayd/{__version__} on {socket.gethostname()}"
        upkeep = Upkeep(lambda: {"journal_bytes": kernel.tail_bytes, **queues.held()})
        limits = kernel_settings(self._settings)
        topics = Topics(wheel, queues.fanning, topic_limits(self._settings))
        texting = Texting(queues.fanning, self._phones)
        mobile = Mobile(queues.fanning, mobile_limits(self._settings))
        status_log = StatusLog(clock, log_limits(self._settings))
        deliveries = Deliveries(topics, status_log)
        services: list[Service] = [queues, topics, texting, mobile, deliveries, upkeep]
        kernel = Kernel(self._store, clock, services, wheel, limits, owner, queues.gates())
        submit = self._submit(kernel, topics)
        server = BinaryServer(
            kernel,
            binary_limits(self._settings),
            secrets(self._keys),
            self._settings.daemon.account,
            self._settings.daemon.region,
            submit,
        )
        http = self._http(kernel, queues, topics, server, submit)
        if self._settings.keys.file:
            # Without a file there is nothing to read again, and a terminal that is closed ends the daemon.
            loop.add_signal_handler(signal.SIGHUP, self._change_keys, server)
        try:
            gc.disable()  # what a start makes, stays: looking through it again and again doubles its time
            report = await self._unless_asked(kernel.start(), ending)
            if report is not None:
                kernel.ring_by_itself()
                self._say_start(report)
                await self._listen(server, http)
                topics.publishing.address = self._address()
                topics.publishing.not_taken = status_log.not_taken
                # An entry can come from within a decision: who waits for it is served after that.
                deliveries.follow(lambda news: loop.call_soon(kernel.feed, news))
                limits_of_deliveries = dispatch_limits(self._settings)
                devices = Devices(mobile, kernel)
                self._senders["application"] = self._make_application(devices.find, devices.disable)
                self._dispatcher = Dispatcher(
                    *(kernel, topics, self._senders, limits_of_deliveries, self._address(), texting),
                    *(status_log, mobile),
                )
                self._dispatcher.start()
                self._abandoned = Abandoned(kernel, queues, topics, self._settings.topics.listener_timeout)
                self._abandoned.start()
                assert kernel.failed is not None
                kernel.failed.add_done_callback(lambda failed: ending.fail(failed.result()))
                await self._serve(ending)
        except Exception as error:
            try:
                await self._stop(kernel, server, http, ending, exit_for(error))
            except (StoreError, OSError) as second:
                log.debug("the stop failed too", error=type(second).__name__)
            raise
        await self._stop(kernel, server, http, ending)

    def _submit(self, kernel: Kernel, topics: Topics) -> Callable[[Action, Reply], None]:
        """What takes the calls of all connections."""
        if self._settings.topics.sign_queues == "off":
            return kernel.submit
        self._signed = SignedPublishing(kernel, topics.publishing, self._signer, self._address)
        return self._signed.submit

    def _change_keys(self, server: BinaryServer) -> None:
        """Read the access keys again. The AWS face looks into the same mapping for every call."""
        try:
            keys = self._read_keys()
        except Misconfigured as wrong:
            log.error("the keys could not be read again; those from before stay", reason=wrong.sentence)
            return
        self._keys.clear()
        self._keys.update(keys)
        server.change_keys(secrets(keys))
        log.info("keys", count=len(keys))

    async def _unless_asked(self, start: Awaitable[Report], ending: Ending) -> Report | None:
        """Wait for the start; None if somebody asks for the end before it is through."""
        starting: asyncio.Future[Report] = asyncio.ensure_future(start)
        either: list[asyncio.Future[Any]] = [starting, ending.asked]
        while not starting.done() and not ending.asked.done():
            self._notifier.extend_start(START_PATIENCE)
            await asyncio.wait(either, timeout=START_PATIENCE / 3, return_when="FIRST_COMPLETED")
        if starting.done():
            return starting.result()
        starting.cancel()
        await asyncio.wait({starting})
        return None

    def _say_start(self, report: Report) -> None:
        log.info(
            "start",
            version=__version__,
            addresses=list(dict.fromkeys(each.text for each in self._addresses))
            + [shown(each) for each in self._listeners.sockets],
            store=str(Path(self._settings.daemon.data_dir).absolute()),
            records=report.records,
            batches=report.tail_batches,
            events=report.tail_events,
            seconds=round(time.monotonic() - self._began, 3),
        )

    def _http(
        self,
        kernel: Kernel,
        queues: Queues,
        topics: Topics,
        server: BinaryServer,
        submit: Callable[[Action, Reply], None],
    ) -> HttpServer | None:
        """The AWS face, which listens to nothing yet; None if it has no address."""
        if not self._http_addresses:
            return None
        # aiohttp takes a while to load: who does not serve it does not wait for it.
        from ropewayd.protocols.aws.gateway import Gateway  # noqa: PLC0415
        from ropewayd.protocols.aws.server import HttpServer  # noqa: PLC0415
        from ropewayd.protocols.metrics.page import MetricsPage  # noqa: PLC0415

        daemon = self._settings.daemon
        limits = http_limits(self._settings)
        gateway = Gateway(kernel, limits, self._keys, daemon.account, daemon.region, submit)
        http = HttpServer(gateway, limits)

        def connections() -> dict[str, int]:
            return {"binary": server.connections, "http": http.connections}

        page = MetricsPage(
            kernel, queues, topics, self._store, connections, self._settings.http.metrics_queues
        )
        gateway.metrics = page.text
        gateway.certificate = self._signer.certificate_at
        return http

    async def _listen(self, server: BinaryServer, http: HttpServer | None) -> None:
        room = descriptors.make_room(descriptors.asked_for(self._settings))

        def full() -> bool:
            return server.connections + (0 if http is None else http.connections) >= room

        server.full = full
        if http is not None:
            http.full = full
        mode = int(self._settings.daemon.socket_mode, 8)
        self._listeners.open(self._addresses, mode)
        self._http_listeners.open(self._http_addresses, mode)
        for each in self._listeners.sockets:
            await server.listen(each, None if each.family == socket.AF_UNIX else self._tls)
        for each in self._http_listeners.sockets:
            assert http is not None
            await http.listen(each, None if each.family == socket.AF_UNIX else self._tls)

    def _address(self) -> str:
        """Where the AWS face is, as messages tell it to their subscribers; empty if nowhere."""
        if self._settings.http.public_url:
            return self._settings.http.public_url
        found = [each for each in self._http_listeners.sockets if each.family != socket.AF_UNIX]
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{shown(found[0])}" if found else ""

    async def _serve(self, ending: Ending) -> None:
        addresses = [shown(each) for each in self._listeners.sockets]
        # What lives now lives as long as the daemon: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.enable()
        gc.set_threshold(*GC_THRESHOLDS)
        http = [shown(each) for each in self._http_listeners.sockets]
        log.info(
            "ready",
            addresses=addresses,
            http=http,
            pid=os.getpid(),
            seconds=round(time.monotonic() - self._began, 3),
        )
        self._notifier.ready(f"serving {', '.join([*addresses, *http])}")
        watch = asyncio.create_task(self._notifier.watch(self._store.figures))
        try:
            reason = await ending.asked
            log.debug("stopping", reason=reason)
        finally:
            watch.cancel()
            self._notifier.stopping("finishing what is on its way")
            await asyncio.wait({watch})

    async def _stop(
        self,
        kernel: Kernel,
        server: BinaryServer,
        http: HttpServer | None,
        ending: Ending,
        failure: Exit | None = None,
    ) -> None:
        """Rule 2. The store's thread may hang with the disk; then only the process's end will end it."""
        loop, patience = asyncio.get_running_loop(), self._settings.daemon.drain_timeout
        began = loop.time()
        sentence = (
            f"the stop took longer than daemon.drain_timeout ({patience:g} s); what was acknowledged is safe"
        )
        code = IO
        if failure is not None:
            patience, sentence, code = min(patience, LAST_WORDS), failure.sentence, failure.code
        last = loop.call_later(patience, ending.give_up, sentence, code)
        servers: list[BinaryServer | HttpServer] = [server] if http is None else [server, http]
        for each in servers:
            each.stop_accepting()
        self._listeners.close()
        self._http_listeners.close()
        if self._abandoned is not None:
            await self._abandoned.close()
        if self._dispatcher is not None:
            await self._dispatcher.close()
        if self._signed is not None:
            await self._signed.close()
        await kernel.stop()
        left = patience - (loop.time() - began)
        within = max(0.0, left - STORE_SHARE * patience)
        await asyncio.gather(*(each.close(within=within) for each in servers))
        await self._store.close()
        last.cancel()
        self._notifier.close()
        if ending.asked.done() and ending.asked.exception() is None:
            log.info("stop", reason=ending.asked.result(), seconds=round(loop.time() - began, 3))


def secrets(keys: Mapping[str, AccessKey]) -> dict[str, str]:
    """What the binary protocol wants to know of the access keys."""
    return {key: each.secret for key, each in keys.items()}


def make_store(settings: Settings) -> SqliteStore:
    """The store, not opened yet."""
    store = settings.store
    return SqliteStore(
        Path(settings.daemon.data_dir),
        cache_bytes=store.cache_bytes,
        wal_bytes=store.wal_bytes,
        reserve_bytes=store.reserve_bytes,
    )


def kernel_settings(settings: Settings) -> KernelSettings:
    """The kernel's part, in its units."""
    kernel = settings.kernel
    return KernelSettings(
        max_batch_bytes=kernel.max_batch_bytes,
        tail_bytes=kernel.tail_bytes,
        slice_bytes=kernel.slice_bytes,
        scrub_round=round(kernel.scrub_round * 1000),
        max_store_bytes=kernel.max_store_bytes,
        low_space_bytes=kernel.low_space_bytes,
        enough_space_bytes=kernel.enough_space_bytes,
        idle_spill_after=milliseconds(kernel.idle_spill_after),
        max_polls=kernel.max_polls,
    )


def queue_limits(settings: Settings) -> QueueLimits:
    """The queues' part. An answer must fit its frame, with room for what is not messages."""
    aws = settings.queues.limits == "aws"
    return QueueLimits(
        fifo_calls=settings.queues.fifo_calls if aws else 0,
        fifo_partitions=settings.queues.fifo_partitions,
        fifo_look=settings.queues.fifo_look if aws else 0,
        account=settings.daemon.account,
        region=settings.daemon.region,
        max_queues=settings.queues.max_queues,
        max_in_flight=settings.queues.max_in_flight,
        fifo_in_flight=settings.queues.fifo_in_flight,
        purge_interval=round(settings.queues.purge_interval * 1000),
        recreate_interval=round(settings.queues.recreate_interval * 1000),
        max_queue_messages=settings.queues.max_queue_messages,
        max_queue_bytes=settings.queues.max_queue_bytes,
        max_messages=settings.queues.max_messages,
        max_move_rate=settings.queues.max_move_rate,
        memory_bytes=settings.queues.memory_bytes,
        max_answer_bytes=settings.protocol.max_frame - (64 << 10),
    )


def topic_limits(settings: Settings) -> TopicLimits:
    """The topics' part."""
    topics = settings.topics
    return TopicLimits(
        account=settings.daemon.account,
        region=settings.daemon.region,
        max_topics=topics.max_topics,
        max_fifo_topics=topics.max_fifo_topics,
        max_subscriptions=topics.max_subscriptions,
        max_fifo_subscriptions=topics.max_fifo_subscriptions,
        max_topic_policies=topics.max_topic_policies,
        max_policies=topics.max_policies,
        archive_standard=topics.archives == "all",
        across_accounts=not settings.keys.file,
        max_farewells=topics.max_farewells,
        max_replays=topics.max_replays,
        replay_rate=topics.replay_rate,
        memory_bytes=topics.memory_bytes,
    )


def texting_limits(settings: Settings) -> TextingLimits:
    """The part of telephone numbers."""
    sms = settings.sms
    return TextingLimits(
        account=settings.daemon.account,
        region=settings.daemon.region,
        sandbox=sms.sandbox == "on",
        opted_out=frozenset(sms.opted_out),
        max_accounts=sms.max_accounts,
        max_opted_out=sms.max_opted_out,
        max_sandbox_numbers=sms.max_sandbox_numbers,
    )


def mobile_limits(settings: Settings) -> MobileLimits:
    """The mobile applications' part."""
    return MobileLimits(
        account=settings.daemon.account,
        region=settings.daemon.region,
        max_applications=settings.push.max_applications,
        max_endpoints=settings.push.max_endpoints,
    )


def dispatch_limits(settings: Settings) -> DispatchLimits:
    """The deliveries' part."""
    topics, hooks = settings.topics, settings.subscribers.timeout
    return DispatchLimits(
        longest={
            "http": hooks + GRACE,
            "https": hooks + GRACE,
            "email": settings.email.timeout + GRACE,
            "email-json": settings.email.timeout + GRACE,
            "sms": settings.sms.timeout + GRACE,
            "application": settings.push.timeout + GRACE,
            "firehose": settings.firehose.timeout + GRACE,
            "lambda": MAX_FUNCTION + GRACE,  # the file of functions may give each a time of its own
        },
        deliveries=topics.deliveries,
        share=topics.subscriber_deliveries,
    )


def log_limits(settings: Settings) -> LogLimits:
    """The part of the delivery status log."""
    topics = settings.topics
    return LogLimits(
        entries=topics.delivery_log, bytes=topics.delivery_log_bytes, excerpt=topics.delivery_log_excerpt
    )


def binary_limits(settings: Settings) -> BinaryLimits:
    """The binary protocol's part, in its units."""
    protocol = settings.protocol
    return BinaryLimits(
        max_connections=protocol.max_connections,
        max_frame=protocol.max_frame,
        max_requests=protocol.max_requests,
        max_request_bytes=protocol.max_request_bytes,
        max_unsent=protocol.max_unsent,
        handshake_timeout=milliseconds(protocol.handshake_timeout),
        frame_timeout=milliseconds(protocol.frame_timeout),
        write_timeout=milliseconds(protocol.write_timeout),
        idle_timeout=milliseconds(protocol.idle_timeout),
    )


def http_limits(settings: Settings) -> HttpLimits:
    """The AWS face's part, in its units."""
    http = settings.http
    return HttpLimits(
        max_connections=http.max_connections,
        max_header=http.max_header,
        max_headers=http.max_headers,
        max_body=http.max_body,
        max_parameters=http.max_parameters,
        header_timeout=milliseconds(http.header_timeout),
        body_timeout=milliseconds(http.body_timeout),
        idle_timeout=milliseconds(http.idle_timeout),
        write_timeout=milliseconds(http.write_timeout),
        skew=milliseconds(http.skew),
        slow_call=milliseconds(http.slow_call),
        metrics=http.metrics,
        public_url=http.public_url,
        origins=http.origins,
        hosts=http.hosts,
        log_calls=settings.log.level == "debug",
    )


def milliseconds(seconds: float) -> int:
    """A duration as the floors below count it; never nothing."""
    return max(1, round(seconds * 1000))
