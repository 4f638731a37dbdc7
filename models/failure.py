"""What went wrong with a request, as a `ModelError`: one line with the cause, and the fix as hint.

The kind comes from the HTTP status, the body, and the exception below the SDK's. The phrases and codes
of a full context are those that OpenAI, OpenRouter, Anthropic, Google, vLLM, SGLang, llama.cpp, Ollama
and LM Studio use.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from models.chat_model import ErrorKind, ModelError
from models.providers import Endpoint

DETAIL_LIMIT = 300
"""Characters of a server's own words in a message."""

_CONTEXT_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"}
)
_CONTEXT_PHRASES = (
    r"maximum context length|context length exceeded|context[_ ]window|maximum model length|"
    r"available context size|context size has been exceeded|exceeds? (the )?context|prompt is too long|"
    r"prompt too long|input is too long|maximum prompt length|model'?s context length|"
    r"exceeds the maximum number of tokens allowed|exceeds the maximum allowed length|"
    r"greater than the context length|longer than the maximum (model )?length|"
    r"when context the overflows|reduce the length of the messages"
)
_PAYMENT = (
    r"insufficient[_ ](quota|credits?|balance|funds)|billing|credit balance|exceeded your current quota"
)

_KIND_OF_STATUS: dict[int, ErrorKind] = {
    400: "bad_request", 401: "auth", 402: "payment", 403: "forbidden", 404: "not_found", 405: "not_found",
    408: "timeout", 409: "server", 413: "context", 422: "bad_request", 429: "rate_limit",
}  # fmt: skip

_KIND_OF_CODE: dict[str, ErrorKind] = {
    "rate_limit_exceeded": "rate_limit", "rate_limit_error": "rate_limit", "too_many_requests": "rate_limit",
    "insufficient_quota": "payment", "billing_error": "payment",
    "invalid_api_key": "auth", "authentication_error": "auth", "permission_error": "forbidden",
    "model_not_found": "not_found", "not_found_error": "not_found", "not_found": "not_found",
    "invalid_request_error": "bad_request", "bad_request": "bad_request",
    "timeout": "timeout", "request_timeout": "timeout",
}  # fmt: skip

_WHAT: dict[str, str] = {
    "auth": "refused the key",
    "payment": "wants to be paid",
    "forbidden": "does not allow this request",
    "not_found": "does not know the model or the path",
    "bad_request": "refused the request as malformed",
    "context": "says that the conversation is too long for the model",
    "rate_limit": "asks to slow down",
    "timeout": "took too long",
    "server": "has a fault",
}


class FailureContext(Struct, frozen=True):
    """Who was asked for what; never shows the key, nor `secrets`, those of headers and the proxy's URL."""

    endpoint: Endpoint
    model: str
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"FailureContext({self.endpoint!r}, {self.model!r})"

    @property
    def who(self) -> str:
        return self.endpoint.title

    def clean(self, text: str) -> str:
        """A server's words on one line, without keys, control characters or excess length."""
        from safety.known_secrets import url_secrets
        from safety.redact import Redactor

        known = (self.endpoint.api_key or "", *url_secrets(self.endpoint.base_url), *self.secrets)
        text, _ = Redactor(known).redact(text)
        line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        return line if len(line) <= DETAIL_LIMIT else line[: DETAIL_LIMIT - 1] + "…"

    def hint(self, kind: ErrorKind) -> str:
        key_env = self.endpoint.key_env
        match kind:
            case "auth" if not self.endpoint.api_key:
                return f"Set {key_env or 'model.key_env'} to a key of {self.who}."
            case "auth":
                return f"Check the key in {key_env}: it may be mistyped, expired or another provider's."
            case "payment":
                return f"Add credit at {self.who}, or choose another model."
            case "forbidden":
                return (
                    f"Check what the key{f' in {key_env}' if key_env else ''} may use, or change the model."
                )
            case "not_found":
                url = self.endpoint.address
                return f"Check the model's name ({self.model}) and the base URL ({url}); most end in /v1."
            case "bad_request":
                return f"Check the model's name ({self.model}) and the settings under `model`."
            case "context":
                return "Shorten the conversation: /compact, or begin anew with /new."
            case "connection":
                return "Is the server running? Check the base URL, the network and the proxy settings."
            case _:
                return "Try again later, or choose another model or provider."


def from_status(where: FailureContext, status: int, headers: Mapping[str, str], body: str) -> ModelError:
    """An HTTP answer that is not a success."""
    if 300 <= status < 400:
        target = where.clean(headers.get("location", ""))
        message = f"{where.who} sends the request elsewhere ({status} to {target or 'nowhere'})"
        return ModelError("bad_request", message, status=status, hint="Set the base URL to where it points.")
    if is_page(headers.get("content-type", ""), body) and status not in (429, 529) and status < 500:
        return web_page(where, status)
    error = _parsed(body)
    detail, codes = _detail(error) if error is not None else (_text_of(body), set())
    kind = _kind(status, detail, codes)
    return _error(where, kind, detail, status, retry_after(headers))


def from_error_object(where: FailureContext, error: Any) -> ModelError:
    """An `error` that came inside a 200 or in the midst of a stream."""
    detail, codes = _detail({"error": error})
    status = next((int(code) for code in codes if code.isdecimal() and 400 <= int(code) <= 599), 200)
    metadata = error.get("metadata") if isinstance(error, dict) else None
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    given = {str(k).lower(): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
    return _error(where, _kind(status, detail, codes), detail, status, retry_after(given))


def from_transport(where: FailureContext, error: BaseException, *, during_stream: bool) -> ModelError:
    """No HTTP answer, or one that broke off. `error` is the HTTP library's or the SDK's exception."""
    url = where.endpoint.address
    names = {cls.__name__ for each in _chain(error) for cls in type(each).__mro__}
    tls = next((each for each in _chain(error) if isinstance(each, ssl.SSLCertVerificationError)), None)
    if tls is not None or "CERTIFICATE_VERIFY_FAILED" in str(error):
        reason = tls.verify_message if tls is not None else "verification failed"
        hint = "If that is your own server, name its authority's PEM file in model.ca_file."
        return ModelError("bad_request", f"{url} has a certificate that is not trusted: {reason}", hint=hint)
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}:
        message = f"the request to {url} cannot be made: {where.clean(str(error))}"
        return ModelError("bad_request", message, hint="Check the base URL, the key and the extra headers.")
    if "ConnectTimeout" in names:
        return ModelError("timeout", f"no connection to {url} in time", hint=where.hint("connection"))
    if names & {"TimeoutException", "APITimeoutError", "TimeoutError"}:
        kind: ErrorKind = "stall" if during_stream else "timeout"
        what = "fell silent in mid-answer" if during_stream else "did not answer in time"
        return ModelError(kind, f"{where.who} {what}", hint=where.hint(kind))
    reason = where.clean(_reason(error))
    if "ProxyError" in names:
        return ModelError(
            "connection", f"the proxy refused: {reason}", hint="Check model.proxy or HTTPS_PROXY."
        )
    message = f"the connection to {where.who} broke off" if during_stream else f"cannot reach {url}"
    return ModelError("connection", f"{message}: {reason}", hint=where.hint("connection"))


def web_page(where: FailureContext, status: int = 200) -> ModelError:
    message = f"{where.endpoint.address} answered with a web page instead of the API ({status})"
    hint = "Check the base URL (most end in /v1), or a proxy or login page in between."
    final: ErrorKind = (
        "not_found" if status == 404 else "forbidden" if status in (401, 403) else "bad_request"
    )
    return ModelError("bad_body" if status == 200 else final, message, status=status, hint=hint)


def bad_body(where: FailureContext, what: str) -> ModelError:
    return ModelError("bad_body", f"{where.who} {what}", status=200, hint=where.hint("bad_body"))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date.

    RFC 9110, section 10.2.3. A date is measured against the answer's own `Date` if it has one, so a
    clock that is wrong here does no harm.
    """
    millis, value = headers.get("retry-after-ms"), headers.get("retry-after")
    for text, unit in ((millis, 0.001), (value, 1.0)):
        if text and re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
            return float(text) * unit
    if not value:
        return None
    from email.utils import parsedate_to_datetime

    try:
        until = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    try:
        now = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        now = time.time()
    return max(0.0, until - now)


def is_page(content_type: str, body: str) -> bool:
    return "text/html" in content_type.lower() or body.lstrip()[:15].lower().startswith(
        ("<!doctype", "<html")
    )


def _error(
    where: FailureContext, kind: ErrorKind, detail: str, status: int, wait: float | None
) -> ModelError:
    what = _WHAT.get(kind, "failed")
    if kind == "auth":
        env = where.endpoint.key_env
        what = f"refused the key in {env}" if where.endpoint.api_key and env else "wants a key"
    said = where.clean(detail)
    code = f" ({status})" if status != 200 else ""
    message = f"{where.who} {what}{code}{': ' + said if said else ''}"
    return ModelError(kind, message, status=status, hint=where.hint(kind), retry_after=wait)


def _kind(status: int, detail: str, codes: set[str]) -> ErrorKind:
    text = " ".join([detail, *sorted(codes)])
    if codes & _CONTEXT_CODES or (
        status in (200, 400, 413, 422, 500) and re.search(_CONTEXT_PHRASES, text, re.IGNORECASE)
    ):
        return "context"
    if status in (200, 400, 402, 403, 429) and re.search(_PAYMENT, text, re.IGNORECASE):
        return "payment"
    if status == 413 and ("rate_limit_exceeded" in codes or "per minute" in detail.lower()):
        return "bad_request"  # Groq's: one request larger than a minute's allowance never passes.
    if status != 200:
        return _KIND_OF_STATUS.get(status, "server" if status >= 500 else "bad_request")
    return next((_KIND_OF_CODE[code] for code in sorted(codes) if code in _KIND_OF_CODE), "server")


def _parsed(body: str) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and value:  # Google's compatible API wraps its error in a list.
        value = value[0]
    return value if isinstance(value, dict) else None


def _text_of(body: str) -> str:
    return "" if is_page("", body) else body


def _detail(body: Mapping[str, Any]) -> tuple[str, set[str]]:
    """The message and all codes and types of an error body, whatever its layout."""
    error = body.get("error")
    source: Mapping[str, Any] = error if isinstance(error, dict) else body
    codes = {str(source[key]) for key in ("code", "type", "status") if source.get(key) is not None}
    message = source.get("message") or source.get("detail") or (error if isinstance(error, str) else "")
    if isinstance(message, list):  # FastAPI's list of validation errors
        message = "; ".join(
            str(each.get("msg", each) if isinstance(each, dict) else each) for each in message
        )
    text = message if isinstance(message, str) else json.dumps(message, default=str)
    metadata = source.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, str) and raw:  # OpenRouter hands on what the provider behind it said.
        inner = _parsed(raw)
        said, more = _detail(inner) if inner is not None else (raw, set[str]())
        text, codes = (f"{text}: {said}" if said else text), codes | {c for c in more if not c.isdecimal()}
    return text, codes


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in chain:
        chain.append(each)
        each = each.__cause__ or each.__context__
    return chain


def _reason(error: BaseException) -> str:
    """The words of the innermost system error, else of the exception nearest the socket."""
    chain = _chain(error)
    for each in reversed(chain):
        if isinstance(each, socket.gaierror):
            return each.strerror or str(each)
        # asyncio puts "Connect call failed" in place of the system's words, and joins several in one.
        number = re.search(r"\[Errno (\d+)\]", str(each)) if isinstance(each, OSError) else None
        if number is not None:
            return os.strerror(int(number[1]))
    return next((str(each) for each in reversed(chain) if str(each)), type(error).__name__)
