"""A program as it was written for AWS: it says nothing of an endpoint. It prints what it did."""

import sys

import boto3

sqs = boto3.resource("sqs")
queue = sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "60"})
queue.send_message(
    MessageBody="one order", MessageAttributes={"of": {"DataType": "String", "StringValue": "tea"}}
)
for message in queue.receive_messages(WaitTimeSeconds=5, MessageAttributeNames=["All"]):
    sys.stdout.write(f"{message.body} {message.message_attributes['of']['StringValue']}\n")
    message.delete()
queue.reload()
sys.stdout.write(queue.attributes["ApproximateNumberOfMessagesNotVisible"] + "\n")
