"""A small server for a model that transformers loads: the OpenAI chat API, greedy, one request at a time.

    python serve.py OUT [PORT]

It gives back the model's text as it is. Calls in it are for the client to find, as with many a local server.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer


class Model:
    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder)

    def answer(self, request: dict[str, Any]) -> tuple[str, dict[str, int]]:
        """The text of the answer, and the tokens it took."""
        asked = self._tokenizer.apply_chat_template(
            request["messages"],
            tools=request.get("tools"),
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        read = asked["input_ids"].shape[1]
        tokens = self._model.generate(
            **asked, max_new_tokens=request.get("max_tokens") or 256, do_sample=False
        )
        answer = tokens[0][read:]
        usage = {"prompt_tokens": read, "completion_tokens": len(answer), "total_tokens": read + len(answer)}
        return self._tokenizer.decode(answer, skip_special_tokens=True), usage


class Handler(BaseHTTPRequestHandler):
    model: Model

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": self.model.name, "object": "model"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, usage = self.model.answer(request)
        if request.get("stream"):
            self._stream([*self._chunks(text), self._body("chat.completion.chunk", usage=usage)])
        else:
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._send(self._body("chat.completion", [choice], usage=usage))

    def _chunks(self, text: str) -> Iterator[dict[str, Any]]:
        for delta, reason in (({"role": "assistant", "content": text}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            yield self._body("chat.completion.chunk", [choice])

    def _body(self, kind: str, choices: list[Any] | None = None, **more: Any) -> dict[str, Any]:
        facts = {"id": "answer", "object": kind, "created": int(time.time()), "model": self.model.name}
        return {**facts, "choices": choices or [], **more}

    def _send(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, chunks: list[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")


def main() -> None:
    Handler.model = Model(Path(sys.argv[1]))
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
    server = HTTPServer(("127.0.0.1", port), Handler)
    print(f"{Handler.model.name} answers at http://127.0.0.1:{server.server_port}/v1", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
