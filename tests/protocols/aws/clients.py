"""Clients of the AWS face as the SDKs are made."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config


def client(service: str, endpoint: str, key: str = "anyone", region: str = "us-east-1", **config: Any) -> Any:
    """boto3's client, which tries nothing twice unless `config` says so."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key="anything at all",
        config=Config(**{"retries": {"max_attempts": 0}, **config}),
    )


def sqs(endpoint: str, **made: Any) -> Any:
    """boto3's client of SQS."""
    return client("sqs", endpoint, **made)
