"""`ropeway topic deliveries`: what became of each attempt to deliver what was published to a topic."""

from __future__ import annotations

from typing import Literal

import click

import ropeway
from ropeway.cli.output import Output, remark
from ropeway.cli.session import Session, common_options
from ropeway.cli.values import harmless, local, stamp

_COLUMNS = "TIME                 OUTCOME        CODE         MS  ATTEMPT  SUBSCRIBER"
_COLOURS: dict[str, Literal["green", "yellow", "red"]] = {
    "delivered": "green",
    "retry": "yellow",
    "dead-lettered": "red",
    "failed": "red",
}


@click.command(
    epilog="""\b
Examples:
  ropeway topic deliveries news
  ropeway topic deliveries news --failed
  ropeway topic deliveries news --follow
  ropeway topic deliveries news --failed --follow --json | jq -r .answer
\b
In a pipe a line has: time, outcome, status (- where none came), milliseconds, attempt, protocol, endpoint,
message id, answer.
""",
)
@click.argument("topic", metavar="TOPIC")
@click.option("--failed", is_flag=True, help="Only attempts that did not deliver.")
@click.option("--follow", "-F", is_flag=True, help="Go on with what is attempted from now on, until Ctrl-C.")
@click.option(
    "--max",
    "most",
    type=click.IntRange(0),
    default=100,
    metavar="N",
    help="Of those that there are, the latest N: 100. With --follow more come.",
)
@common_options
@click.pass_obj
def deliveries(session: Session, topic: str, *, failed: bool, follow: bool, most: int) -> None:
    """Show the latest attempts to deliver what was published to TOPIC, oldest first.

    An attempt is delivered; retry: it will be tried again; dead-lettered; or failed: it was given up, and
    there is no dead-letter queue. The daemon remembers them until it ends. Of copies to queues there are
    those alone that were not taken.
    """
    output = session.output

    async def work(broker: ropeway.Broker) -> int:
        count = 0
        if follow and output.drawn:
            remark(f"following {topic}; Ctrl-C ends it")
        async for each in broker.topic(topic).deliveries(failed=failed, follow=follow, last=most):
            if output.drawn and not count:
                output.line(output.coloured(_COLUMNS, "dim"))
            _write(output, each)
            count += 1
        return count

    if not session.perform(work):
        remark(f"nothing of the kind is remembered of {topic}")


def _write(output: Output, attempt: ropeway.DeliveryAttempt) -> None:
    milliseconds = round(attempt.duration * 1000)
    if output.json:
        output.record(
            {
                "number": attempt.number,
                "at": stamp(attempt.at),
                "subscription": attempt.subscription,
                "protocol": attempt.protocol,
                "endpoint": attempt.endpoint,
                "message_id": attempt.message_id,
                "kind": attempt.kind,
                "attempt": attempt.attempt,
                "outcome": attempt.outcome,
                "code": attempt.code,
                "milliseconds": milliseconds,
                "answer": attempt.answer,
            }
        )
        return
    code = "-" if attempt.code is None else str(attempt.code)
    endpoint, answer = harmless(attempt.endpoint), harmless(attempt.answer)
    if not output.drawn:
        fields = (stamp(attempt.at), attempt.outcome, code, milliseconds, attempt.attempt, attempt.protocol)
        output.line("\t".join(map(str, (*fields, endpoint, attempt.message_id, answer))))
        return
    outcome = output.coloured(f"{attempt.outcome:13}", _COLOURS[attempt.outcome])
    to = endpoint if endpoint.startswith(f"{attempt.protocol}:") else f"{attempt.protocol} {endpoint}"
    asked = "" if attempt.kind == "Notification" else f" ({attempt.kind})"
    facts = f"{local(attempt.at):19}  {outcome}  {code:>4}  {milliseconds:>9,}  {attempt.attempt:>7}"
    output.line(f"{facts}  {to}{asked}  {output.coloured(answer, 'dim')}".rstrip())
