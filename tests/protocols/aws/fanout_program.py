"""A program of kombu's with a fan-out exchange, which is an SNS topic: each consumer hears all that is said.
Prints what they heard."""

import importlib
import json
import os
import sys
import time
from typing import Any

kombu: Any = importlib.import_module("kombu")  # its types are half there

PATIENCE = 30.0
OPTIONS = {"supports_fanout": True, "wait_time_seconds": 0, "polling_interval": 0.01, "is_secure": False}
news = kombu.Exchange("news", type="fanout")
queues = [kombu.Queue(f"news-{name}", news) for name in ("one", "two")]
heard: dict[str, list[str]] = {queue.name: [] for queue in queues}

with kombu.Connection(os.environ["BROKER_URL"], transport_options=OPTIONS) as connection:

    def on_message(body: str, message: Any) -> None:
        """Each queue has its own consumer, which says whose it was."""
        heard[message.delivery_info["sqs_queue"].rsplit("/", 1)[-1]].append(body)
        message.ack()

    consumers = [
        kombu.Consumer(connection, queue, callbacks=[on_message], accept=["json"]) for queue in queues
    ]
    for consumer in consumers:
        consumer.consume()
    producer = kombu.Producer(connection.channel(), exchange=news)
    for each in ("first", "second"):
        producer.publish(each, serializer="json", declare=[news])
    end = time.monotonic() + PATIENCE
    while min(map(len, heard.values())) < 2 and time.monotonic() < end:
        try:
            connection.drain_events(timeout=1)
        except TimeoutError:
            continue
json.dump({name: sorted(bodies) for name, bodies in heard.items()}, sys.stdout)
