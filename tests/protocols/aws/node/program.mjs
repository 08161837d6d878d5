// AWS's SDK for JavaScript and sqs-consumer, as their own documentation uses them.
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const [name, endpoint] = process.argv.slice(2);
const client = new SQSClient(endpoint ? { endpoint } : {});
const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: name }));

await client.send(
  new SendMessageCommand({
    QueueUrl,
    MessageBody: "hello",
    MessageAttributes: { kind: { DataType: "String", StringValue: "v" } },
  }),
);
const { Messages } = await client.send(
  new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5, MessageAttributeNames: ["All"] }),
);
await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle }));

let error;
try {
  await client.send(new SendMessageCommand({ QueueUrl: QueueUrl + "-gone", MessageBody: "x" }));
} catch (thrown) {
  error = thrown.name;
}

const jobs = [0, 1, 2, 3, 4].map((n) => `job ${n}`);
await client.send(
  new SendMessageBatchCommand({
    QueueUrl,
    Entries: jobs.map((MessageBody, n) => ({ Id: `${n}`, MessageBody })),
  }),
);
const consumed = [];
await new Promise((resolve, reject) => {
  const consumer = Consumer.create({
    queueUrl: QueueUrl,
    sqs: client,
    batchSize: 10,
    waitTimeSeconds: 1,
    handleMessage: async (message) => {
      consumed.push(message.Body);
      return message;
    },
  });
  consumer.on("error", reject);
  consumer.on("processing_error", reject);
  consumer.on("response_processed", () => {
    if (consumed.length === jobs.length) {
      consumer.stop();
      resolve();
    }
  });
  consumer.start();
});

const { Attributes } = await client.send(
  new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["ApproximateNumberOfMessages"] }),
);
console.log(
  JSON.stringify({
    received: Messages.map((message) => message.Body),
    attributes: Messages[0].MessageAttributes,
    error,
    consumed: consumed.sort(),
    left: Attributes.ApproximateNumberOfMessages,
  }),
);
