"""A program with AWS's extended client: bodies too large for SQS go to S3, and a pointer to the queue.

S3 is stood in for by what keeps objects in this process. It writes what it found, as JSON.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import sqs_extended_client  # type: ignore[import-not-found]  # noqa: F401  # it changes boto3's clients

objects: dict[str, bytes] = {}


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as the extended client asks for."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, b"")

    def do_GET(self) -> None:
        self.answer(200 if self.path in objects else 404, objects.get(self.path, b""))

    def do_DELETE(self) -> None:
        objects.pop(self.path, None)
        self.answer(204, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


bucket = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
threading.Thread(target=bucket.serve_forever, daemon=True).start()
os.environ["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{bucket.server_port}"
os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
os.environ["AWS_RESPONSE_CHECKSUM_VALIDATION"] = "when_required"

sqs = boto3.client("sqs")
sqs.large_payload_support = "bucket"
sqs.delete_payload_from_s3 = True
sqs.message_size_threshold = 1 << 20
url = sqs.create_queue(QueueName="extended")["QueueUrl"]
attributes = {str(n): {"DataType": "String", "StringValue": "v"} for n in range(9)}  # and one of its own
bodies = ["small", "x" * (3 << 20)]
for body in bodies:
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
stored = [len(each) for each in objects.values()]
got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])["Messages"]
for message in got:
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
json.dump(
    {
        "same": [message["Body"] for message in got] == bodies,
        "stored": stored,
        "names": [sorted(message["MessageAttributes"]) for message in got],
        "left": left["Attributes"]["ApproximateNumberOfMessagesNotVisible"],
        "objects": len(objects),
    },
    sys.stdout,
)
