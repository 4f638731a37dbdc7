"""Settings of the toolsets. They are sections of `settings.Settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field


class WebSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Its keys: FIRECRAWL_API_KEY."""

    backend: Annotated[
        Literal["auto", "firecrawl", "direct"],
        Meta(description="Who searches and reads pages; auto: firecrawl where its key or api_url is set."),
    ] = "auto"
    api_url: Annotated[str, Meta(description="A firecrawl server of your own.")] = ""
    search_engine: Annotated[
        str, Meta(description="Engines asked without firecrawl, as ddgs names them: auto, or brave,mojeek.")
    ] = "auto"
    allowed_hosts: Annotated[
        list[str],
        Meta(description="Private hosts that web tools and the browser may reach: NAME or NAME:PORT."),
    ] = []
    timeout: Annotated[float, Meta(gt=0, description="Seconds one page may take.")] = 30.0
    max_bytes: Annotated[int, Meta(gt=0, description="Bytes of one page, unpacked, that are read.")] = (
        10_000_000
    )
    page_limit: Annotated[
        int, Meta(ge=500, description="Characters of a page the model sees; the rest is kept in a file.")
    ] = 8_000
    summarize: Annotated[
        bool, Meta(description="Have long pages summarised by auxiliary.summary; never in batches.")
    ] = False
    obey_robots: Annotated[bool, Meta(description="Whether web_crawl honours robots.txt.")] = True


class BrowserSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Its keys: BROWSERBASE_API_KEY and BROWSERBASE_PROJECT_ID."""

    backend: Annotated[
        Literal["auto", "local", "cdp", "browserbase"],
        Meta(description="Which browser; auto: cdp_url, Browserbase by its keys, or a Chromium here."),
    ] = "auto"
    executable: Annotated[str, Meta(description="The Chromium to start; empty: one is looked for.")] = ""
    cdp_url: Annotated[str, Meta(description="A running browser: ws://… or http://….")] = ""
    browserbase_url: Annotated[str, Meta(description="Where Browserbase's API is, if elsewhere.")] = ""
    headed: Annotated[bool, Meta(description="Show the window.")] = False
    timeout: Annotated[float, Meta(gt=0, le=29, description="Seconds one step may take.")] = 28.0
    idle: Annotated[float, Meta(gt=0, description="Seconds without a step after which it is closed.")] = 600.0
    snapshot_limit: Annotated[int, Meta(ge=500, description="Characters of a page the model sees.")] = 8_000


class ModelChoice(Struct, frozen=True, forbid_unknown_fields=True):
    """A model other than the one that is talked to. Empty values are taken from the section `model`."""

    name: Annotated[str, Meta(description="The model; empty: the one you talk to.")] = ""
    provider: Annotated[str, Meta(description="As model.provider.")] = ""
    base_url: Annotated[str, Meta(description="As model.base_url.")] = ""
    key_env: Annotated[str, Meta(description="As model.key_env.")] = ""


class AuxiliarySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Models for what tools need one for."""

    vision: ModelChoice = field(default_factory=ModelChoice)
    summary: ModelChoice = field(default_factory=ModelChoice)


class ImageSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """For image_generate. FAL_KEY is the key of FAL."""

    provider: Annotated[
        Literal["auto", "openai", "fal", "off"],
        Meta(description="Who draws; auto: base_url, else FAL by its key, else OpenAI by its key."),
    ] = "auto"
    base_url: Annotated[
        str, Meta(description="A server with OpenAI's images API, up to /v1; with provider fal, its queue.")
    ] = ""
    key_env: Annotated[str, Meta(description="The variable that holds the key for base_url.")] = ""
    model: Annotated[str, Meta(description="The model that draws; empty: the provider's usual one.")] = ""
    timeout: Annotated[float, Meta(gt=0, description="Seconds one picture may take.")] = 180.0


class MoaSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """For mixture_of_agents, which is on when there are reference models."""

    models: Annotated[list[str], Meta(description="Reference models, asked at the same time.")] = []
    aggregator: Annotated[str, Meta(description="The model that joins their answers; empty: yours.")] = ""
    provider: Annotated[str, Meta(description="Who serves them; empty: as model.provider.")] = ""
    timeout: Annotated[float, Meta(gt=0, description="Seconds a reference model may take.")] = 300.0


class SkillSettings(Struct, frozen=True, forbid_unknown_fields=True):
    folders: Annotated[
        list[str], Meta(description="More folders with skills, besides ~/.hermes/skills and .hermes/skills.")
    ] = []


class DelegateSettings(Struct, frozen=True, forbid_unknown_fields=True):
    max_turns: Annotated[int, Meta(ge=1, description="Requests one helper may make.")] = 50
    max_depth: Annotated[int, Meta(ge=0, description="How deep helpers may have helpers.")] = 1
    at_once: Annotated[int, Meta(ge=1, description="Helpers that work at the same time.")] = 3
    model: Annotated[str, Meta(description="The model of helpers; empty: yours.")] = ""


class McpServerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One tool server: a `command` with `args` that is started, or a `url` (streamable HTTP).

    docs/mcp.md says what each field is. Values of `env` and `headers` may hold ${NAME}, a key.
    """

    command: str = ""
    args: list[str] = []
    env: dict[str, str] = {}
    env_pass: list[str] = []
    url: str = ""
    headers: dict[str, str] = {}
    insecure: bool = False
    enabled: bool = True
    tools: list[str] = []
    allowed: list[str] = []
    timeout: Annotated[float, Meta(gt=0)] = 60.0
    start_timeout: Annotated[float, Meta(gt=0)] = 30.0


class HookSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A command that is run by the shell at an event, with JSON on stdin.

    `tools` are patterns of names, none for all of them. `timeout` is in seconds. Where a `required` one
    fails, what it is asked about does not happen.
    """

    event: Literal["before_tool", "after_tool", "session_start", "session_end"]
    command: Annotated[str, Meta(min_length=1)]
    tools: list[str] = []
    timeout: Annotated[float, Meta(gt=0)] = 30.0
    required: bool = False
