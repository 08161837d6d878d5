// AWS's SDK for JavaScript with topics, and AWS's validator of what they send, as their own documentation uses them.
import http from "node:http";
import https from "node:https";
import {
  ConfirmSubscriptionCommand,
  CreateTopicCommand,
  GetTopicAttributesCommand,
  ListTagsForResourceCommand,
  paginateListTopics,
  PublishBatchCommand,
  PublishCommand,
  SetTopicAttributesCommand,
  SNSClient,
  SubscribeCommand,
  UnsubscribeCommand,
} from "@aws-sdk/client-sns";
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import Validator from "sns-validator";

const sns = new SNSClient({});
const sqs = new SQSClient({});
const said = {};

async function refused(command) {
  try {
    await sns.send(command);
  } catch (thrown) {
    return thrown.name;
  }
}

async function queue(name) {
  const fifo = name.endsWith(".fifo");
  const { QueueUrl } = await sqs.send(
    new CreateQueueCommand({ QueueName: name, Attributes: fifo ? { FifoQueue: "true" } : {} }),
  );
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] }));
  return { QueueUrl, arn: Attributes.QueueArn };
}

async function bodies(QueueUrl, count) {
  const found = [];
  while (found.length < count) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 5 }),
    );
    found.push(...Messages.map((message) => message.Body));
  }
  return found;
}

// A filter policy, raw delivery, a batch, tags.
const { TopicArn } = await sns.send(
  new CreateTopicCommand({ Name: "orders", Tags: [{ Key: "team", Value: "shop" }] }),
);
const paid = await queue("paid");
const { SubscriptionArn } = await sns.send(
  new SubscribeCommand({
    TopicArn,
    Protocol: "sqs",
    Endpoint: paid.arn,
    ReturnSubscriptionArn: true,
    Attributes: { RawMessageDelivery: "true", FilterPolicy: JSON.stringify({ state: ["paid"] }) },
  }),
);
const state = (StringValue) => ({ state: { DataType: "String", StringValue } });
await sns.send(new PublishCommand({ TopicArn, Message: "one", MessageAttributes: state("paid") }));
await sns.send(new PublishCommand({ TopicArn, Message: "never", MessageAttributes: state("open") }));
const batch = await sns.send(
  new PublishBatchCommand({
    TopicArn,
    PublishBatchRequestEntries: [
      { Id: "good", Message: "two", MessageAttributes: state("paid") },
      { Id: "bad", Message: "" },
    ],
  }),
);
said.batch = [batch.Successful.map((each) => each.Id), batch.Failed.map((each) => [each.Id, each.Code])];
said.filtered = (await bodies(paid.QueueUrl, 2)).sort();
said.tags = (await sns.send(new ListTagsForResourceCommand({ ResourceArn: TopicArn }))).Tags;
await sns.send(new UnsubscribeCommand({ SubscriptionArn }));
const { Attributes } = await sns.send(new GetTopicAttributesCommand({ TopicArn }));
said.subscriptions = [Attributes.SubscriptionsConfirmed, Attributes.SubscriptionsDeleted];

// Order.
const fifo = await sns.send(new CreateTopicCommand({ Name: "steps.fifo", Attributes: { FifoTopic: "true" } }));
const steps = await queue("steps.fifo");
await sns.send(
  new SubscribeCommand({
    TopicArn: fifo.TopicArn,
    Protocol: "sqs",
    Endpoint: steps.arn,
    Attributes: { RawMessageDelivery: "true" },
  }),
);
for (const step of ["a", "b", "b", "c"]) {
  await sns.send(
    new PublishCommand({
      TopicArn: fifo.TopicArn,
      Message: step,
      MessageGroupId: "g",
      MessageDeduplicationId: step,
    }),
  );
}
said.steps = await bodies(steps.QueueUrl, 3);

// Errors, and pages.
said.missing = await refused(new PublishCommand({ TopicArn: TopicArn + "-gone", Message: "x" }));
said.invalid = await refused(new PublishCommand({ TopicArn, Message: "" }));
for (let n = 0; n < 105; n++) await sns.send(new CreateTopicCommand({ Name: `page-${n}` }));
said.pages = [];
for await (const page of paginateListTopics({ client: sns }, {})) said.pages.push(page.Topics.length);

// A web hook, and whether what it gets is signed.
const got = [];
let news = () => {};
const hook = http.createServer((request, response) => {
  let text = "";
  request.on("data", (data) => (text += data));
  request.on("end", () => {
    got.push(JSON.parse(text));
    response.end();
    news();
  });
});
await new Promise((resolve) => hook.listen(0, "127.0.0.1", resolve));

async function next() {
  while (got.length === 0) await new Promise((resolve) => (news = resolve));
  return got.shift();
}

function valid(message) {
  const validator = new Validator(/^127\.0\.0\.1:\d+$/);
  return new Promise((resolve) => validator.validate(message, (error) => resolve(error ? error.message : "valid")));
}

await sns.send(
  new SubscribeCommand({ TopicArn, Protocol: "http", Endpoint: `http://127.0.0.1:${hook.address().port}/` }),
);
const asked = await next();
said.hook = [[asked.Type, await valid(asked)]];
await sns.send(new ConfirmSubscriptionCommand({ TopicArn, Token: asked.Token }));
for (const version of ["1", "2"]) {
  await sns.send(
    new SetTopicAttributesCommand({ TopicArn, AttributeName: "SignatureVersion", AttributeValue: version }),
  );
  await sns.send(new PublishCommand({ TopicArn, Message: `version ${version}`, Subject: "signed" }));
  const message = await next();
  said.hook.push([message.Message, message.SignatureVersion, await valid(message)]);
  said.hook.push(await valid({ ...message, Message: "another" }));
}
hook.close();
https.globalAgent.destroy();
console.log(JSON.stringify(said));
