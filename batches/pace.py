"""What the conversations of one process share: a model, and the word of its server to come back later."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator

from models.chat_model import ChatModel, ModelError, ModelEvent, ModelRequest
from models.providers import Endpoint

SPREAD = 2.0
"""Seconds over which those who waited come back: all at once they would be refused again."""


async def spread_sleep(seconds: float) -> None:
    await asyncio.sleep(seconds + random.random() * min(seconds, SPREAD))


class PacedModel:
    """Asks nobody before the time that a refusal named (Retry-After), whichever conversation it refused."""

    def __init__(self, inner: ChatModel) -> None:
        self.inner = inner
        self.name = inner.name
        self.context_window = inner.context_window
        self.prices = inner.prices
        self._until = -math.inf

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        while (wait := self._until - time.monotonic()) > 0:
            await spread_sleep(wait)
        try:
            async for event in self.inner.stream(request):
                yield event
        except ModelError as error:
            if error.kind == "rate_limit" and error.retry_after:
                self._until = max(self._until, time.monotonic() + error.retry_after)
            raise

    async def aclose(self) -> None:
        await self.inner.aclose()


class TaskModel:
    """The shared model as one conversation has it: closing it closes nothing. Keeps its last `failure`."""

    def __init__(self, inner: ChatModel, endpoint: Endpoint) -> None:
        self.inner = inner
        self.endpoint = endpoint
        self.name = inner.name
        self.context_window = inner.context_window
        self.prices = inner.prices
        self.failure: ModelError | None = None

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        try:
            async for event in self.inner.stream(request):
                yield event
        except ModelError as error:
            self.failure = error
            raise

    async def aclose(self) -> None:
        """The others still talk to it."""
