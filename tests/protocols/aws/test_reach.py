"""Where the AWS face can be reached: loopback alone without keys, over TLS where there is a certificate."""

import socket
from pathlib import Path

import boto3
import pytest

from tests.certificate import self_signed
from tests.daemon import Daemon, Ended


def test_without_a_key_only_this_machine_reaches_it(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, http="0.0.0.0:0")
    with pytest.raises(Ended, match="no access key"):
        daemon.start()
    assert daemon.code == 78
    assert "http.listen" in daemon.log[-1]["event"]


def test_it_may_be_on_a_unix_socket_or_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "http"
    with Daemon(tmp_path, http=f"unix:{path}") as daemon:
        assert daemon.events("ready")[-1]["http"] == [f"unix:{path}"]
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            peer.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert peer.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert not path.exists()
    with Daemon(tmp_path, http="none") as daemon:
        assert daemon.events("ready")[-1]["http"] == []


@pytest.mark.needs("openssl")
def test_with_a_certificate_it_speaks_tls_and_queue_urls_say_so(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "DNS:localhost,IP:127.0.0.1")
    flags = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    with Daemon(tmp_path, *flags, http="127.0.0.1:0") as daemon:
        endpoint = daemon.endpoint.replace("http://", "https://")
        sqs = boto3.client(
            "sqs",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            verify=str(certificate),
        )
        assert sqs.create_queue(QueueName="tls")["QueueUrl"] == f"{endpoint}/000000000000/tls"
        sqs.close()
