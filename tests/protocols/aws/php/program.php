<?php

// Knows nothing of Ropeway: the endpoint and a queue come as arguments. AsyncAws is Debian's php-async-aws-sqs.

require 'AsyncAws/Core/autoload.php';
require 'AsyncAws/Sqs/autoload.php';

use AsyncAws\Core\Exception\Http\ClientException;
use AsyncAws\Sqs\SqsClient;

$sqs = new SqsClient([
    'endpoint' => $argv[1],
    'region' => 'us-east-1',
    'accessKeyId' => 'anyone',
    'accessKeySecret' => 'anything',
]);
$url = $sqs->createQueue(['QueueName' => $argv[2]])->getQueueUrl();
$kind = ['DataType' => 'String', 'StringValue' => 'v'];
$sqs->sendMessage(['QueueUrl' => $url, 'MessageBody' => 'hello', 'MessageAttributes' => ['kind' => $kind]])->resolve();
$sqs->sendMessageBatch(['QueueUrl' => $url, 'Entries' => [['Id' => 'a', 'MessageBody' => '1 < 2 & ä']]])->resolve();

$received = [];
$attribute = '';
$asked = ['QueueUrl' => $url, 'MaxNumberOfMessages' => 10, 'WaitTimeSeconds' => 5, 'MessageAttributeNames' => ['All']];
foreach ($sqs->receiveMessage($asked)->getMessages() as $message) {
    $received[] = $message->getBody();
    if (md5($message->getBody()) !== $message->getMD5OfBody()) {
        exit('the digest of a body is another');
    }
    foreach ($message->getMessageAttributes() as $value) {
        $attribute = $value->getStringValue();
    }
    $sqs->deleteMessage(['QueueUrl' => $url, 'ReceiptHandle' => $message->getReceiptHandle()])->resolve();
}

$names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'];
$left = $sqs->getQueueAttributes(['QueueUrl' => $url, 'AttributeNames' => $names])->getAttributes();

$gone = '';
try {
    $sqs->getQueueUrl(['QueueName' => 'no-such-queue'])->resolve();
} catch (ClientException $error) {
    $gone = $error->getAwsCode();
}
echo json_encode(['received' => $received, 'attribute' => $attribute, 'left' => $left, 'error' => $gone]);
