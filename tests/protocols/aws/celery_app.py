"""A Celery application as anybody's, whose broker is named by a variable. As a program it sends tasks."""

import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery

QUEUE = os.environ["QUEUE"]

app = Celery("app", broker=os.environ["BROKER_URL"])
app.conf.update(
    task_default_queue=QUEUE,
    broker_transport_options={"region": "us-east-1", "wait_time_seconds": 2, "visibility_timeout": 60},
    worker_prefetch_multiplier=2,
    worker_enable_remote_control=False,
)


@app.task(bind=True, max_retries=3, name="work")  # type: ignore[untyped-decorator]  # Celery has no types
def work(self: Any, name: str) -> None:
    """Say that it was done; `retry` fails the first time."""
    if name == "retry" and self.request.retries == 0:
        raise self.retry(countdown=0)
    with Path(os.environ["DONE"]).open("a") as done:
        done.write(f"{name}\n")


if __name__ == "__main__":
    for each in sys.argv[1:]:
        # AWS's SQS has a delay of its own; an ETA is Celery's, whose worker holds the message until then.
        work.apply_async((each,), countdown=3 if each == "later" else None)
