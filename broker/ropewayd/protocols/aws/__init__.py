"""The AWS face: HTTP requests as the AWS SDKs send them, and answers as they expect them."""
