"""Why a collector gave no answer."""

import aiohttp


def unreached(fault: Exception, ca: str) -> str:
    """Gives it in words that go on from the collector's name. `ca`: what names the authorities to trust."""
    match fault:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(fault.certificate_error, "verify_message", "") or "by nobody"
            return f"its certificate is not trusted ({why}); is {ca} the right file?"
        case aiohttp.ClientConnectorSSLError():
            return "no TLS that both sides speak; should its URL begin with http:// or have another port?"
        case aiohttp.ClientConnectorDNSError():
            return "no address is known for that name"
        case aiohttp.ClientConnectorError():
            return f"can't be reached: {fault.os_error.strerror or type(fault.os_error).__name__}"
        case aiohttp.ServerDisconnectedError():
            return "hung up without an answer; should its URL begin with https:// or have another port?"
        case _:
            return type(fault).__name__
