"""From a request to its answer: which service and action, whose, from which bytes, and back.

Rule 1  A request is read, then its signature is verified, then its parameters are looked at. Nobody without a
        key learns more than that a key is asked for.
Rule 2  Whatever comes, the answer has the shape of the protocol that was asked in, and a request id that the
        log has too.
Rule 3  A client that goes away while its call waits takes no message with it.
Rule 4  A web page reaches this daemon only from an origin that may: without access keys, being able to
        connect is all that it takes, and every page in a local browser can.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web
from structlog.typing import FilteringBoundLogger

from ropewayd.kernel.kernel import Kernel
from ropewayd.vocabulary import names
from ropewayd.vocabulary.access_key import AccessKey
from ropewayd.vocabulary.errors import (
    AccessDenied,
    InternalFailure,
    InvalidAction,
    InvalidParameterValue,
    MalformedRequest,
    MissingParameter,
    RopewayError,
)

from . import answer, query, signature
from . import body as bodies
from .call import Call, Caller, Operation, Protocol
from .errors import RequestTimeout, RequestTooLarge, fault_of, text_of
from .response import Response
from .services import BY_SCOPE, BY_TARGET, BY_VERSION, SERVICES, SQS, Service
from .settings import HttpLimits
from .signature import Scope
from .sqs.url import is_queue_path

METERED: Final = "aws"
"""What this protocol is called where things are counted."""
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LOCAL_ORIGIN: Final = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?\Z")
ALLOWED_METHODS: Final = "GET, POST, HEAD, OPTIONS"
_HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}\Z")
_REGION_HOST = re.compile(r"(?:sqs\.(?P<one>[a-z]{2}[a-z-]*-\d)|(?P<two>[a-z]{2}[a-z-]*-\d)\.queue)\.")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}\Z|\[[0-9A-Fa-f:.]+\]\Z")
_ACCOUNT = re.compile(r"\d{12}\Z", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,32}\Z")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_NULL = re.compile(r"Expected `(?!.*null)[^`]+`, got `null` - at `\$\.(?P<name>[^`]*)`")
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<name>[^`]*)`)?\Z", re.DOTALL)

log: FilteringBoundLogger = structlog.get_logger()


class Waiter:
    """One call that waits for the kernel: its Reply, on a future."""

    __slots__ = ("_tell", "done")

    def __init__(self, tell: Callable[[Any], Response], done: asyncio.Future[Response]) -> None:
        self._tell = tell
        self.done = done

    def prepare(self, answer: Any) -> Response:
        return self._tell(answer)

    def deliver(self, prepared: Response) -> None:
        if not self.done.done():
            self.done.set_result(prepared)


class Gateway:
    """See the module. `keys` are the access keys by id; without any, everyone is who they say they are."""

    def __init__(
        self, kernel: Kernel, limits: HttpLimits, keys: Mapping[str, AccessKey], account: str, region: str
    ) -> None:
        self._kernel = kernel
        self._limits = limits
        self._keys = keys
        self._home = names.Scope(account, region)
        self.metrics: Callable[[], Awaitable[bytes]] | None = None
        """Gives the page /metrics."""
        self._loop = asyncio.get_running_loop()
        self._decoders: dict[type[Operation], msgspec.json.Decoder[Operation]] = {}
        self._pages: dict[str, Callable[[web.BaseRequest], web.Response]] = {"/health": self._health}

    # A request

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one request, whatever it is."""
        began = self._loop.time()
        call = self._blank(request)
        operation: Operation | None = None
        try:
            body = await bodies.read(request, self._limits)
            if request.method != "POST":
                page = self._page(request)
                if page is not None:
                    return page
                if request.path == "/metrics":
                    return await self._metrics(request)
            operation = self._understand(request, body, call)
            response = await self._run(operation, call)
        except RopewayError as error:
            response = self._refusal(error, call, operation)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001  # Rule 2: the caller gets an answer, and the log the reason
            log.error(
                "a call failed", error=type(error).__name__, request=call.request_id, action=call.operation
            )
            self.complain(error)
            response = self._refusal(InternalFailure("The daemon failed to answer this call."), call, None)
        seconds = self._loop.time() - began
        if operation is not None:
            self._kernel.meter.calls(METERED, call.operation).add(seconds)
            if seconds > self._limits.slow_call / 1000 + operation.patience():
                self._tell(log.warning, "slow call", call, response, seconds)
        if "Origin" in request.headers:
            self._allow(request, response.more)
        if self._limits.log_calls:
            self._tell(log.debug, "call", call, response, seconds)
        return response

    def _blank(self, request: web.BaseRequest) -> Call:
        target = request.headers.get("X-Amz-Target")
        text = "%032x" % random.getrandbits(128)  # noqa: UP031 - the fastest way; it is no secret
        return Call(
            request_id=f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}",
            protocol=Protocol.JSON if target is not None else Protocol.QUERY,
            operation="",
            caller=Caller(*self._home),
            namespace=SQS.namespace,
            prefix=SQS.prefix,
            query_mode="x-amzn-query-mode" in request.headers,
            trace=request.headers.get("X-Amzn-Trace-Id"),
            home=self._home,
        )

    def _page(self, request: web.BaseRequest) -> web.Response | None:
        """What is no call: a look at the daemon, a browser's question beforehand, another method."""
        method = request.method
        if method == "OPTIONS":
            return self._preflight(request)
        if method in {"GET", "HEAD"} and "Action=" not in request.raw_path:
            page = self._pages.get(request.path)
            if page is not None:
                return page(request)
            if method == "HEAD":
                return web.Response(status=200)
        if method not in {"GET", "POST"}:
            return web.Response(status=405, headers={"Allow": ALLOWED_METHODS})
        return None

    def _health(self, request: web.BaseRequest) -> web.Response:
        return web.Response(body=b'{"status":"ok"}', content_type="application/json")

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        """Where access keys are asked for, only this machine sees the names of queues, unless a setting says
        otherwise."""
        if self.metrics is None or not (
            self._limits.metrics == "all" or not self._keys or _is_local(request.transport)
        ):
            return web.Response(status=404)
        return web.Response(body=await self.metrics(), headers={"Content-Type": METRICS_TYPE})

    # Web origins

    def _may(self, origin: str) -> bool:
        allowed = self._limits.origins
        return "*" in allowed or origin in allowed or LOCAL_ORIGIN.match(origin) is not None

    def _is_near(self, host: str) -> bool:
        """Whether it is no name of the outside world. Such a one can be made to lead here; a page from there
        is then of the same origin, for which browsers say no Origin with a GET."""
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if "." not in name or name.endswith(".localhost") or _ADDRESS.match(name):
            return True
        return host == self._limits.public_url.partition("://")[2]

    def _preflight(self, request: web.BaseRequest) -> web.Response:
        response = web.Response(status=200)
        if self._may(request.headers.get("Origin", "")):
            asked = request.headers.get("Access-Control-Request-Headers", "*")
            response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
            response.headers["Access-Control-Allow-Headers"] = asked
            response.headers["Access-Control-Max-Age"] = "600"
        self._allow(request, response.headers)
        return response

    def _allow(self, request: web.BaseRequest, headers: MutableMapping[str, str]) -> None:
        origin = request.headers.get("Origin")
        if origin is not None and self._may(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "x-amzn-RequestId, x-amzn-query-error, Date"
            headers["Vary"] = "Origin"

    # What is asked

    def _understand(self, request: web.BaseRequest, body: bytes, call: Call) -> Operation:
        """The operation, with `call` filled in. Raises RopewayError."""
        origin = request.headers.get("Origin")
        if origin is not None and not self._may(origin):
            raise AccessDenied(f"The web origin {origin[:200]} may not call this daemon: see http.origins.")
        if request.method == "GET" and not self._keys and not self._is_near(request.headers.get("Host", "")):
            raise AccessDenied("Without access keys, a call by GET is taken for a host of this machine only.")
        path, _, query_string = request.raw_path.partition("?")
        said = query_string.encode("utf-8", "surrogateescape")
        asked = query.parse(said, self._limits.max_parameters)
        scope = None if self._keys else signature.scope_of(request.headers.get("Authorization"), asked)
        call.base = functools.partial(self._base_url, request)
        call.path_queue = path if path != "/" and is_queue_path(path) else ""
        call.caller = self._caller(request, body, scope)
        coding = request.headers.get("Content-Encoding")
        plain = body if coding is None else bodies.unpack(body, coding, self._limits.max_body)
        target = request.headers.get("X-Amz-Target")
        if target is not None:
            return self._from_json(target, plain, call)
        return self._from_query(request, asked, plain, call)

    def _base_url(self, request: web.BaseRequest) -> str:
        """What the client knows us by: QueueUrls lead there again."""
        if self._limits.public_url:
            return self._limits.public_url
        headers = request.headers
        host = headers.get("X-Forwarded-Host", "").partition(",")[0].strip() or headers.get("Host", "")
        scheme = headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
        if scheme not in {"http", "https"}:
            scheme = request.scheme
        if not _HOST.match(host):
            raise InvalidParameterValue("The Host header is not a host.")
        port = headers.get("X-Forwarded-Port", "").partition(",")[0].strip()
        if port.isascii() and port.isdigit() and not re.search(r":\d+\Z", host):
            host += "" if port == {"http": "80", "https": "443"}[scheme] else f":{port[:5]}"
        return f"{scheme}://{host}"

    def _caller(self, request: web.BaseRequest, body: bytes, scope: Scope | None) -> Caller:
        """Who calls, and for which region. Raises what signature.verify does."""
        account, region = self._home
        if self._keys:
            said = signature.Request(request.method, request.raw_path, request.raw_headers, body)
            scope = signature.verify(said, self._keys, BY_SCOPE, int(time.time()), self._limits.skew // 1000)
            account = self._keys[scope.key].account
        elif scope is not None and _ACCOUNT.match(scope.key):
            account = scope.key
        if scope is not None and _REGION.match(scope.region):
            region = scope.region
        else:
            found = _REGION_HOST.match(request.headers.get("Host", ""))
            region = (found["one"] or found["two"]) if found else region
        return Caller(account, region, scope.service if scope else "", bool(self._keys))

    def _from_json(self, target: str, body: bytes, call: Call) -> Operation:
        prefix, _, name = target.rpartition(".")
        service = BY_TARGET.get(prefix)
        kind = service.operations.get(name) if service else None
        if service is None or kind is None:
            raise InvalidAction(f"The operation {target[:100]} is not known here.")
        self._enter(call, service, name)
        decoder = self._decoders.get(kind)
        if decoder is None:
            decoder = self._decoders[kind] = msgspec.json.Decoder(kind)
        try:
            return decoder.decode(body or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _unfit(str(error)) from None

    def _from_query(
        self, request: web.BaseRequest, asked: dict[str, str], body: bytes, call: Call
    ) -> Operation:
        if request.method == "POST":
            asked |= query.parse(body, self._limits.max_parameters)
        if "application/json" in request.headers.get("Accept", ""):
            call.protocol = Protocol.QUERY_JSON
        name = asked.get("Action")
        if name is None:
            raise NoAction("The request names no action.")
        service = BY_VERSION.get(asked.get("Version", ""))
        if service is None:
            service = BY_SCOPE.get(call.caller.service)
        if service is None:
            service = next((each for each in SERVICES if name in each.operations), SQS)
        self._enter(call, service, name)
        kind = service.operations.get(name)
        if kind is None or (call.path_queue and not kind.needs_queue and name != "GetQueueUrl"):
            raise InvalidAction(f"The action {name[:100]} is not valid for this endpoint.")
        try:
            return msgspec.convert(query.members(kind, asked), kind, strict=False)
        except msgspec.ValidationError as error:
            wrong = _unfit(str(error))
            raise wrong if isinstance(wrong, MissingParameter) else _unlike(str(error)) from None

    def _enter(self, call: Call, service: Service, name: str) -> None:
        if call.caller.proven and call.caller.service != service.scope:
            raise signature.SignatureDoesNotMatch(
                f"Credential should be scoped to correct service: '{service.scope}'."
            )
        call.operation = name
        call.namespace = service.namespace
        call.prefix = service.prefix

    # The answer

    async def _run(self, operation: Operation, call: Call) -> Response:
        action = operation.action(call)
        if action is None:
            return self._success(operation, None, call)

        def tell(given: Any) -> Response:
            return self._told(operation, given, call)

        waiter = Waiter(tell, self._loop.create_future())
        self._kernel.submit(action, waiter)
        try:
            return await waiter.done
        except asyncio.CancelledError:
            self._kernel.abandon(waiter)
            raise

    def _told(self, operation: Operation, given: Any, call: Call) -> Response:
        if isinstance(given, RopewayError):
            return self._refusal(given, call, operation)
        if isinstance(given, list):
            for each in [*given, *call.refused.values()]:
                if isinstance(each, RopewayError):
                    self._kernel.meter.errors[METERED, each.code] += 1
        try:
            return self._success(operation, given, call)
        except RopewayError as error:
            return self._refusal(error, call, operation)

    def _success(self, operation: Operation, given: Any, call: Call) -> Response:
        body = answer.result(operation.output(given, call), call, has_result=operation.has_result)
        return _response(200, body, call)

    def _refusal(self, error: RopewayError, call: Call, operation: Operation | None) -> Response:
        if isinstance(error, NoAction):
            return Response(404, b"<UnknownOperationException/>\n", answer.XML_TYPE, call.request_id)
        self._kernel.meter.errors[METERED, error.code] += 1
        fault = fault_of(error)
        status = fault.status
        if call.protocol is Protocol.JSON and not call.query_mode and status in {403, 404}:
            status = 400
        response = _response(status, answer.error(fault, text_of(error, call, operation), call), call)
        if call.protocol is Protocol.JSON:
            side = "Sender" if fault.sender else "Receiver"
            response.more["x-amzn-query-error"] = f"{fault.code};{side}"
        if isinstance(error, RequestTooLarge | RequestTimeout):
            response.force_close()
        return response

    def broken(self, request: web.BaseRequest, status: int, message: str) -> Response:
        """The answer to what is no HTTP that this daemon reads. The connection ends with it."""
        call = self._blank(request)
        error: RopewayError = MalformedRequest(
            f"This is not an HTTP request that is read here: {message[:200]}"
        )
        response = self._refusal(
            InternalFailure("The daemon failed.") if status >= 500 else error, call, None
        )
        response.force_close()
        return response

    def complain(self, error: BaseException | None) -> None:
        """Where something failed, for whoever looks at level debug."""
        if error is not None:
            at = error.__traceback__
            while at is not None and at.tb_next is not None:
                at = at.tb_next
            where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at is not None else "?"
            log.debug("where a call failed", error=type(error).__name__, where=where)

    def _tell(
        self, speak: Callable[..., Any], event: str, call: Call, response: Response, seconds: float
    ) -> None:
        """The access log: the request's id is the one in the answer."""
        speak(
            event,
            action=call.operation,
            protocol=call.protocol.value,
            account=call.caller.account,
            region=call.caller.region,
            status=response.status,
            request=call.request_id,
            milliseconds=round(seconds * 1000, 1),
        )


def _is_local(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the peer is on this machine."""
    peer = transport.get_extra_info("peername") if transport is not None else None
    return not isinstance(peer, tuple) or ipaddress.ip_address(peer[0]).is_loopback


class NoAction(InvalidAction):
    """A request of the Query protocol without `Action`."""


def _response(status: int, body: bytes, call: Call) -> Response:
    kind = answer.XML_TYPE if call.protocol is Protocol.QUERY else answer.JSON_TYPE
    return Response(status, body, kind, call.request_id)


def _unfit(said: str) -> RopewayError:
    """What msgspec found wrong with parameters, for the caller."""
    missing = _MISSING.match(said) or _NULL.match(said)
    if missing:
        return MissingParameter(f"The request must contain the parameter {missing['name']}.")
    return MalformedRequest(f"The request cannot be read: {said}")


def _unlike(said: str) -> RopewayError:
    """The same of a parameter of the Query protocol, where everything is text."""
    place = _PLACE.match(said)
    name = place["name"] if place and place["name"] else "a parameter"
    return InvalidParameterValue(
        f"Value for parameter {name} is invalid. Reason: {place['what'] if place else said}."
    )
