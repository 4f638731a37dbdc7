"""Long pages, shortened by a model of their own."""

from __future__ import annotations

from pathlib import Path

from models.chat_model import ModelError
from tools.runtime import ToolRuntime
from tools.web.backend import Page

_PROMPT = Path(__file__).with_name("summary_prompt.md")
_MOST_READ = 60_000
"""Characters of a page that the model is given."""
_MOST_TOKENS = 1_500


def wants_summary(runtime: ToolRuntime, page: Page) -> bool:
    """Only where the person turned it on, and never where nobody knows of requests to a model."""
    web = runtime.settings.web
    return web.summarize and not runtime.around.impersonal and len(page.markdown) > web.page_limit


async def summarized(runtime: ToolRuntime, page: Page, query: str) -> tuple[str, str]:
    """The summary and a note that it is one; or "" and why there is none."""
    from tools.auxiliary import ask_model
    from tools.web.excerpt import excerpt

    text = excerpt(page.markdown, _MOST_READ, query)
    purpose = query or "what the page is about and what it says, with its numbers, names and addresses"
    # What stands in the page cannot end it: no line of it is the mark that ends it.
    mark = "PAGE-TEXT-ENDS-HERE"
    data = text.replace(mark, "")
    prompt = (
        _PROMPT.read_text(encoding="utf-8")
        .strip()
        .format(purpose=purpose, url=page.url, page=data, mark=mark)
    )
    choice = runtime.settings.auxiliary.summary
    try:
        summary = await ask_model(runtime, choice, prompt, max_tokens=_MOST_TOKENS)
    except ModelError as error:
        return "", f"no summary: {error}"
    return summary, "this is a summary made by a model"
