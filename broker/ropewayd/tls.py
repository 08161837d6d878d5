"""The TLS context of the TCP listeners, from certificate files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ropewayd.exits import Misconfigured
from ropewayd.sources import Configuration

if TYPE_CHECKING:
    import ssl


def server_context(configuration: Configuration) -> ssl.SSLContext | None:
    """The context, TLS 1.2 and newer, or None if no certificate is set. Raises Misconfigured."""
    settings = configuration.settings.tls
    if not settings.certificate:
        return None
    import ssl  # noqa: PLC0415 - most daemons serve loopback, and starting fast is worth a late import

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
    except ssl.SSLError as wrong:
        raise Misconfigured(
            f"{configuration.blame('tls.certificate')}: {settings.certificate} and {settings.key} are not a "
            f"certificate and its key in PEM: {wrong.reason or wrong}"
        ) from None
    except OSError as wrong:
        raise Misconfigured(
            f"{configuration.blame('tls.certificate')}: cannot read {settings.certificate} and "
            f"{settings.key}: {wrong.strerror}"
        ) from None
    return context


def _no_password() -> str:
    raise Misconfigured("tls.key is encrypted, and a daemon has nobody to ask for a password: decrypt it")
