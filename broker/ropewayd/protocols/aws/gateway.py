"""From a request to its answer: which service and action, whose, from which bytes, and back.

Rule 1  A request's signature is verified before its parameters are looked at. Nobody without a key learns
        more than that a key is asked for.
Rule 2  Whatever comes, the answer has the shape of the protocol that was asked in, and a request id that the
        log has too.
Rule 3  A call is a function call, and its answer a callback after the commit: there is no task for it.

Which web pages may call at all is said in origins.py, and what HTTP is in connection.py.
"""

from __future__ import annotations

import asyncio
import functools
import random
import re
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from ropewayd.kernel.batch import Reply
from ropewayd.kernel.kernel import Kernel
from ropewayd.vocabulary import names
from ropewayd.vocabulary.access_key import AccessKey
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
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
from .exchange import Exchange
from .gathering import Gathering
from .origins import METHODS, Origins
from .request import Request
from .response import Response
from .services import BY_SCOPE, BY_TARGET, BY_VERSION, SERVICES, SQS, Service
from .settings import HttpLimits
from .signature import Scope
from .sqs.url import is_queue_path

METERED: Final = "aws"
"""What this protocol is called where things are counted."""
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
CERTIFICATE_TYPE: Final = "application/x-pem-file"
UNSIGNED: Final = frozenset(("ConfirmSubscription", "Unsubscribe"))
"""What a subscriber asks for, who has no key: it has a token, or a subscription's name."""
PORTION: Final = 4
"""Answers of batches that are made in one round of the loop."""
_HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}\Z")
_REGION_HOST = re.compile(r"(?:sqs\.(?P<one>[a-z]{2}[a-z-]*-\d)|(?P<two>[a-z]{2}[a-z-]*-\d)\.queue)\.")
_ACCOUNT = re.compile(r"\d{12}\Z", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,32}\Z")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_NULL = re.compile(r"Expected `(?!.*null)[^`]+`, got `null` - at `\$\.(?P<name>[^`]*)`")
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<name>[^`]*)`)?\Z", re.DOTALL)

log: FilteringBoundLogger = structlog.get_logger()


class Gateway:
    """See the module. `keys` are the access keys by id; without any, everyone is who they say they are.
    `submit` takes the calls, if that is not the kernel."""

    def __init__(
        self,
        kernel: Kernel,
        limits: HttpLimits,
        keys: Mapping[str, AccessKey],
        account: str,
        region: str,
        submit: Callable[[Action, Reply], None] | None = None,
    ) -> None:
        self._kernel = kernel
        self._limits = limits
        self._keys = keys
        self._home = names.Scope(account, region)
        self._anyone = Caller(account, region)
        # Request ids look like UUIDs, and are a number of this daemon's life. They are no secret.
        self._mark = str(uuid.uuid4())[:23]
        self._count = random.getrandbits(48)
        self._origins = Origins(limits)
        self._calls = Gathering(submit or kernel.submit)
        self.metrics: Callable[[], Awaitable[bytes]] | None = None
        """Gives the page /metrics."""
        self.certificate: Callable[[str], Awaitable[bytes | None]] | None = None
        """Gives the certificate that messages are signed with, if it is asked for by its path."""
        self._loop = asyncio.get_running_loop()
        self._targets = {
            target: (service, name, msgspec.json.Decoder(kind))
            for target, (service, name, kind) in BY_TARGET.items()
        }
        """What an X-Amz-Target means, and what reads its parameters."""
        self._unprepared: deque[Exchange] = deque()
        """Answers whose bytes are not made yet."""
        self._pages: set[asyncio.Task[None]] = set()
        """What is written now, to be told to whoever asked."""

    # A request

    def serve(self, exchange: Exchange) -> None:
        """Answer one request, whatever it is. The response may come before this returns."""
        try:
            if exchange.request.method == "POST" or not self._show(exchange):
                self._act(exchange, self._understand(exchange.request, exchange.call))
        except Exception as error:  # noqa: BLE001  # Rule 2: the caller gets an answer, and the log the reason
            exchange.deliver(self._failed(exchange, error))

    def flush(self) -> None:
        """What was served until now need not be gathered with what follows."""
        self._calls.flush()

    @property
    def busy(self) -> bool:
        """Whether what was served waits for the disk."""
        return self._kernel.committing

    def serve_by_turns(self, exchange: Exchange) -> Iterator[None]:
        """The same for a request with a body that is large, or packed: in steps (see turns.py)."""
        request, call, limits = exchange.request, exchange.call, self._limits
        try:
            if request.method != "POST" and self._show(exchange):
                return
            asked = self._approach(request, call)
            plain = yield from bodies.unpack(request.body, request.get("content-encoding"), limits.max_body)
            call.size = len(plain) + len(request.target)
            yield
            if "x-amz-target" in request.fields:
                yield from bodies.check_strings(plain, limits.max_parameters)
                yield
                operation = self._from_json(request.get("x-amz-target"), plain, call)
            else:
                if request.method == "POST":
                    asked |= yield from query.parse_by_turns(plain, limits.max_parameters)
                operation = self._from_query(request, asked, call)
            yield
            if not exchange.abandoned:
                self._act(exchange, operation)
        except Exception as error:  # noqa: BLE001  # Rule 2
            exchange.deliver(self._failed(exchange, error))

    def _act(self, exchange: Exchange, operation: Operation) -> None:
        exchange.operation = operation
        action = operation.action(exchange.call)
        if action is None:
            exchange.deliver(exchange.prepare(None))
        else:
            self._calls.add(action, exchange, len(exchange.request.body))

    def refuse(self, exchange: Exchange, error: RopewayError) -> None:
        """Answer what did not come whole, or is no HTTP that is read here. The connection ends with it."""
        response = self._failed(exchange, error)
        response.end()
        exchange.deliver(response)

    def abandon(self, exchange: Exchange) -> None:
        """Whoever asked is gone, and takes no message along."""
        exchange.abandoned = True
        self._kernel.abandon(exchange)

    def blank(self, request: Request) -> Call:
        """What is known of a call before anything is read."""
        fields = request.fields
        self._count = (self._count + 1) & 0xFFFF_FFFF_FFFF
        return Call(
            request_id=f"{self._mark}-{self._count:012x}",
            protocol=Protocol.JSON if "x-amz-target" in fields else Protocol.QUERY,
            operation="",
            caller=self._anyone,
            namespace=SQS.namespace,
            prefix=SQS.prefix,
            query_mode="x-amzn-query-mode" in fields,
            trace=request.get("x-amzn-trace-id") if "x-amzn-trace-id" in fields else None,
            home=self._home,
        )

    def _show(self, exchange: Exchange) -> bool:
        """Answer what is no call: a look at the daemon, a browser's question beforehand, another method."""
        request = exchange.request
        method, path = request.method, request.path
        page: Response | None = None
        if method == "OPTIONS":
            page = self._origins.preflight(request)
        elif method not in {"GET", "HEAD"} or (method == "HEAD" and "Action=" in request.target):
            page = Response(405)
            page.add("Allow", METHODS)
        elif "Action=" not in request.target:
            if path == "/health":
                page = Response(200, b'{"status":"ok"}', "application/json")
            elif method == "HEAD":
                page = Response(200)
        if page is None and path == "/metrics":
            if self.metrics is not None and self._sees_metrics(request):
                self._write(exchange, _metrics(self.metrics()))
                return True
            page = Response(404)
        if page is None and path.endswith(".pem") and self.certificate is not None:
            self._write(exchange, _certificate(self.certificate(path)))
            return True
        if page is None:
            return False
        exchange.deliver(page)
        return True

    def _write(self, exchange: Exchange, page: Coroutine[Any, Any, Response]) -> None:
        """A page that takes a while."""
        task = self._loop.create_task(self._deliver(exchange, page))
        self._pages.add(task)
        task.add_done_callback(self._pages.discard)

    async def _deliver(self, exchange: Exchange, page: Awaitable[Response]) -> None:
        try:
            written = await page
        except Exception as error:  # noqa: BLE001  # Rule 2
            written = self._failed(exchange, error)
        exchange.deliver(written)

    def _sees_metrics(self, request: Request) -> bool:
        """Unless a setting says otherwise only this machine sees the names of queues where access keys are
        asked for, and no page that a browser on it shows. Raises AccessDenied."""
        if self._limits.metrics == "all":
            return True
        self._origins.check_host(request)
        return not self._keys or request.peer.local

    # What is asked

    def _understand(self, request: Request, call: Call) -> Operation:
        """The operation, with `call` filled in. Raises RopewayError."""
        asked, body = self._approach(request, call), request.body
        call.size = len(body) + len(request.target)
        if "x-amz-target" in request.fields:
            if len(body) > bodies.LARGE:
                for _ in bodies.check_strings(body, self._limits.max_parameters):
                    pass
            return self._from_json(request.get("x-amz-target"), body, call)
        if request.method == "POST":
            asked |= query.parse(body, self._limits.max_parameters)
        return self._from_query(request, asked, call)

    def _approach(self, request: Request, call: Call) -> dict[str, str]:
        """Who asks, which `call` says then, and what is asked in the address. Raises RopewayError."""
        self._origins.check(request, keys=bool(self._keys))
        call.base = functools.partial(self._base_url, request)
        asked: dict[str, str] = {}
        if request.target != "/":
            path, _, said = request.target.partition("?")
            asked = query.parse(said.encode("utf-8", "surrogateescape"), self._limits.max_parameters)
            call.path_queue = path if is_queue_path(path) else ""
        call.caller = self._caller(request, asked)
        return asked

    def _base_url(self, request: Request) -> str:
        """What the client knows us by: QueueUrls lead there again."""
        if self._limits.public_url:
            return self._limits.public_url
        host = request.get("x-forwarded-host").partition(",")[0].strip() or request.get("host")
        scheme = request.get("x-forwarded-proto").partition(",")[0].strip().lower()
        if scheme not in {"http", "https"}:
            scheme = "https" if request.peer.secure else "http"
        if not _HOST.match(host):
            raise InvalidParameterValue("The Host header is not a host.")
        port = request.get("x-forwarded-port").partition(",")[0].strip()
        if port.isascii() and port.isdigit() and not re.search(r":\d+\Z", host):
            host += "" if port == {"http": "80", "https": "443"}[scheme] else f":{port[:5]}"
        return f"{scheme}://{host}"

    def _caller(self, request: Request, asked: Mapping[str, str]) -> Caller:
        """Who calls, and for which region. Raises what signature.verify does."""
        account, region = self._home
        anonymous = bool(self._keys) and _is_a_subscribers(request, asked)
        proven = bool(self._keys) and not anonymous
        if proven:
            skew = self._limits.skew // 1000
            scope: Scope | None = signature.verify(request, self._keys, BY_SCOPE, int(time.time()), skew)
            assert scope is not None
            account = self._keys[scope.key].account
        else:
            authorization = request.get("authorization") if "authorization" in request.fields else None
            scope = signature.scope_of(authorization, asked)
            if scope is not None and _ACCOUNT.match(scope.key):
                account = scope.key
        if scope is not None and _REGION.match(scope.region):
            region = scope.region
        else:
            found = _REGION_HOST.match(request.get("host"))
            region = (found["one"] or found["two"]) if found else region
        return Caller(account, region, scope.service if scope else "", proven, anonymous)

    def _from_json(self, target: str, body: bytes, call: Call) -> Operation:
        known = self._targets.get(target)
        if known is None:
            raise InvalidAction(f"The operation {target[:100]} is not known here.")
        service, name, decoder = known
        self._enter(call, service, name)
        call.fits = bodies.fits(body)
        try:
            return decoder.decode(body or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _unfit(str(error)) from None

    def _from_query(self, request: Request, asked: dict[str, str], call: Call) -> Operation:
        if "application/json" in request.get("accept"):
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
            return msgspec.convert(query.members(kind, asked, nested=service.nested), kind, strict=False)
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
        call.nested = service.nested
        call.tell = service.tell

    # The answer

    def prepare_later(self, exchange: Exchange) -> None:
        """Make its bytes when the loop comes by again: by then the disk has what it waits for."""
        self._unprepared.append(exchange)
        if len(self._unprepared) == 1:
            self._loop.call_soon(self._prepare_some)

    def _prepare_some(self) -> None:
        for _ in range(min(PORTION, len(self._unprepared))):
            self._unprepared.popleft().response()
        if self._unprepared:
            self._loop.call_soon(self._prepare_some)

    def prepared(self, exchange: Exchange, given: Any) -> Response:
        """The response to what the kernel answered, its bytes ready."""
        operation, call = exchange.operation, exchange.call
        assert operation is not None
        if isinstance(given, RopewayError):
            return self._failed(exchange, given)
        try:
            if isinstance(given, list):
                for each in [*given, *call.refused.values()]:
                    if isinstance(each, RopewayError):
                        self._kernel.meter.errors[METERED, each.code] += 1
            response = self._success(operation, given, call)
        except Exception as error:  # noqa: BLE001  # Rule 2
            return self._failed(exchange, error)
        return self._finished(exchange, response)

    def _failed(self, exchange: Exchange, error: Exception) -> Response:
        """The response to a call that failed; where the daemon is at fault the log has the reason."""
        call, operation = exchange.call, exchange.operation
        if not isinstance(error, RopewayError):
            log.error(
                "a call failed", error=type(error).__name__, request=call.request_id, action=call.operation
            )
            complain(error)
            error, operation = InternalFailure("The daemon failed to answer this call."), None
        return self._finished(exchange, self._refusal(error, call, operation))

    def _finished(self, exchange: Exchange, response: Response) -> Response:
        request = exchange.request
        if "origin" in request.fields:
            self._origins.tell(request, response)
        response.encode(request)
        return response

    def _success(self, operation: Operation, given: Any, call: Call) -> Response:
        body = answer.result(operation.output(given, call), call, has_result=operation.has_result)
        return _response(200, body, call)

    def _refusal(self, error: RopewayError, call: Call, operation: Operation | None) -> Response:
        if isinstance(error, NoAction):
            return Response(404, b"<UnknownOperationException/>\n", answer.XML_TYPE, call.request_id)
        self._kernel.meter.errors[METERED, error.code] += 1
        if call.tell is not None:
            fault, text = call.tell(error, call, operation)
        else:
            fault, text = fault_of(error), text_of(error, call, operation)
        status = fault.status
        if call.protocol is Protocol.JSON and not call.query_mode and status in {403, 404}:
            status = 400
        response = _response(status, answer.error(fault, text, call), call)
        if call.protocol is Protocol.JSON:
            side = "Sender" if fault.sender else "Receiver"
            response.add("x-amzn-query-error", f"{fault.code};{side}")
        if isinstance(error, RequestTooLarge | RequestTimeout):
            response.ends = True
        return response

    def tell(self, exchange: Exchange, response: Response) -> None:
        """Count a call that is answered now, and let the log say of it what it should."""
        operation, call, limits = exchange.operation, exchange.call, self._limits
        seconds = self._loop.time() - exchange.began
        if operation is not None:
            self._kernel.meter.calls(METERED, call.operation).add(seconds)
            if seconds > limits.slow_call / 1000 + operation.patience():
                self._tell(log.warning, "slow call", call, response, seconds)
        if limits.log_calls and response.request_id:
            self._tell(log.debug, "call", call, response, seconds)

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


def complain(error: BaseException) -> None:
    """Where something failed, for whoever looks at level debug."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at is not None else "?"
    log.debug("where a call failed", error=type(error).__name__, where=where)


class NoAction(InvalidAction):
    """A request of the Query protocol without `Action`."""


async def _metrics(text: Awaitable[bytes]) -> Response:
    return Response(200, await text, METRICS_TYPE)


async def _certificate(asked: Awaitable[bytes | None]) -> Response:
    found = await asked
    return Response(404) if found is None else Response(200, found, CERTIFICATE_TYPE)


def _is_a_subscribers(request: Request, asked: Mapping[str, str]) -> bool:
    """Whether it is one of the calls that need no signature, and has none."""
    return (
        asked.get("Action") in UNSIGNED
        and request.method in {"GET", "HEAD"}
        and "x-amz-target" not in request.fields  # it would say what is asked, whatever the query says
        and "authorization" not in request.fields
        and "X-Amz-Signature" not in asked
    )


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
