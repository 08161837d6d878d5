// Knows nothing of Ropeway: endpoint and queue come as arguments, credentials from the environment.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	ctx := context.Background()
	client := sqs.New(sqs.Options{
		Region:           os.Getenv("AWS_REGION"),
		Credentials:      credentials.NewStaticCredentialsProvider("anyone", "anything", ""),
		EndpointResolver: sqs.EndpointResolverFromURL(os.Args[1]),
	})
	made, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(os.Args[2])})
	must(err)
	kind := map[string]types.MessageAttributeValue{"kind": {DataType: aws.String("String"), StringValue: aws.String("v")}}
	_, err = client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: made.QueueUrl, MessageBody: aws.String("hello"), MessageAttributes: kind})
	must(err)
	_, err = client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: made.QueueUrl,
		Entries: []types.SendMessageBatchRequestEntry{{Id: aws.String("a"), MessageBody: aws.String("1 < 2 & ä")}}})
	must(err)
	received := []string{}
	attribute := ""
	got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10,
		WaitTimeSeconds: 5, MessageAttributeNames: []string{"All"}, AttributeNames: []types.QueueAttributeName{"All"}})
	must(err)
	for _, message := range got.Messages {
		received = append(received, *message.Body)
		if value, found := message.MessageAttributes["kind"]; found {
			attribute = *value.StringValue
		}
		_, err = client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: made.QueueUrl, ReceiptHandle: message.ReceiptHandle})
		must(err)
	}
	counts, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl,
		AttributeNames: []types.QueueAttributeName{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"}})
	must(err)
	_, err = client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("no-such-queue")})
	var gone *types.QueueDoesNotExist
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"received": received, "attribute": attribute, "left": counts.Attributes, "typed error": errors.As(err, &gone)}))
}
