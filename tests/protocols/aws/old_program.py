"""A program as one wrote it in 2023, which boto3 of that time runs. It writes what it found, as JSON."""

import json
import sys
from typing import Any

import boto3
import botocore

queues = boto3.resource("sqs", endpoint_url=sys.argv[1], region_name="us-east-1")
queue = queues.create_queue(QueueName="old", Attributes={"VisibilityTimeout": "60"}, tags={"who": "me"})
sent = queue.send_message(
    MessageBody="1 < 2 & ä\r\n",
    MessageAttributes={
        "text": {"DataType": "String", "StringValue": "v"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    },
)
queue.send_messages(Entries=[{"Id": str(n), "MessageBody": f"body {n}"} for n in range(3)])
found: list[list[Any]] = []
while len(found) < 4:
    for message in queue.receive_messages(
        MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["All"], MessageAttributeNames=["All"]
    ):
        found.append([message.body, (message.message_attributes or {}).get("text")])
        message.delete()
client = queues.meta.client
code = None
try:
    client.send_message(QueueUrl=queue.url + "-gone", MessageBody="x")
except client.exceptions.QueueDoesNotExist as error:
    code = error.response["Error"]["Code"]
json.dump(
    {
        "botocore": botocore.__version__,
        "protocol": client.meta.service_model.metadata["protocol"],
        "found": found,
        "code": code,
        "tags": client.list_queue_tags(QueueUrl=queue.url)["Tags"],
        "timeout": queue.attributes["VisibilityTimeout"],
        "left": queue.attributes["ApproximateNumberOfMessages"],
        "listed": [each.url for each in queues.queues.filter(QueueNamePrefix="old")],
        "moved": client.list_dead_letter_source_queues(QueueUrl=queue.url).get("queueUrls", []),
    },
    sys.stdout,
)
