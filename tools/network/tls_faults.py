"""What is wrong with a certificate, in words."""

from __future__ import annotations

import ssl

# X509_V_ERR_… of OpenSSL's x509_vfy.h.
_FAULTS = {
    9: "it is not valid yet (or the clock of this machine is wrong)",
    10: "it has expired (or the clock of this machine is wrong)",
    18: "it is self-signed: no authority vouches for it",
    19: "an authority that this machine does not know signed it",
    20: "an authority that this machine does not know signed it, or a part of the chain is missing",
    21: "a part of the chain is missing",
    23: "it was revoked",
    62: "it belongs to another host",
    64: "it belongs to another address",
}
_HANDSHAKE = {
    "WRONG_VERSION_NUMBER": "what answers there does not speak TLS; it may be an http:// address",
    "HTTP_REQUEST": "what answers there does not speak TLS; it may be an http:// address",
    "UNSUPPORTED_PROTOCOL": "it speaks only outdated versions of TLS",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no version of TLS that this machine takes",
    "TLSV1_UNRECOGNIZED_NAME": "it does not know the name it was called by",
}


def explain(error: Exception, host: str) -> str:
    """Why a handshake with `host` failed, as one sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        fault = _FAULTS.get(error.verify_code) or error.verify_message
        return f"the certificate of {host} cannot be trusted: {fault}"
    reason = getattr(error, "reason", None) or ""
    known = _HANDSHAKE.get(reason) or (reason or str(error) or type(error).__name__).replace("_", " ").lower()
    return f"no secure connection to {host} came about: {known}"
