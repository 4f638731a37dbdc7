"""Made-up secrets of every published shape."""

from __future__ import annotations

import hashlib
import random
import string

BASE62 = string.ascii_letters + string.digits


def random_text(length: int, letters: str = BASE62, seed: int = 7) -> str:
    """Random, and with a digit and a letter of each case in it."""
    source = random.Random(seed)
    return "a1Z9" + "".join(source.choice(letters) for _ in range(length - 4))


SECRETS = {
    "openai": ("api-key", "sk-proj-" + random_text(100) + "_" + random_text(20)),
    "openai of old": ("api-key", "sk-" + random_text(48)),
    "anthropic": ("anthropic-key", "sk-ant-api03-" + random_text(90) + "-AA"),
    "openrouter": ("openrouter-key", "sk-or-v1-" + hashlib.sha256(b"x").hexdigest()),
    "github": ("github-token", "ghp_" + random_text(36)),
    "github server": ("github-token", "ghs_" + random_text(36)),
    "github fine": ("github-token", "github_pat_" + random_text(22) + "_" + random_text(59)),
    "gitlab": ("gitlab-token", "glpat-" + random_text(20)),
    "aws id": ("aws-key-id", "AKIA" + "Q3EGRZ7WPVTN2X5K"),
    "google": ("google-key", "AIza" + random_text(35)),
    "slack": ("slack-token", "xoxb-1234567890-9876543210-" + random_text(24)),
    "stripe": ("stripe-key", "sk_live_" + random_text(24)),
    "huggingface": ("huggingface-token", "hf_" + random_text(34)),
    "npm": ("npm-token", "npm_" + random_text(36)),
    "groq": ("groq-key", "gsk_" + random_text(52)),
    "firecrawl": ("firecrawl-key", "fc-" + hashlib.md5(b"x").hexdigest()),
    "sendgrid": ("sendgrid-key", "SG." + random_text(22) + "." + random_text(43)),
    "telegram": ("telegram-token", "123456789:AA" + random_text(33)),
    "jwt": (
        "jwt",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + random_text(43),
    ),
    "whsec": ("stripe-key", "whsec_" + random_text(32)),
    "google client": ("google-token", "GOCSPX-" + random_text(28)),
    "google access": ("google-token", "ya29." + random_text(60)),
    "pypi": ("pypi-token", "pypi-AgEIcHlwaS5vcmc" + random_text(60)),
    "xai": ("xai-key", "xai-" + random_text(80)),
    "nvidia": ("nvidia-key", "nvapi-" + random_text(64)),
    "tavily": ("tavily-key", "tvly-dev-" + random_text(32)),
    "digitalocean": ("digitalocean-token", "dop_v1_" + hashlib.sha256(b"y").hexdigest()),
}
