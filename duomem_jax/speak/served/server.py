"""Which server is asked, and how hard."""

import os
import re
from typing import Annotated

import httpx
from annotated_types import Interval

from duomem_jax.base.errors import UserError
from duomem_jax.base.network import check_key, hidden
from duomem_jax.base.ranges import Amount, Limit, Positive, options

PREFIX = "openai:"
OPENAI = "https://api.openai.com/v1"
_ENDPOINT = re.compile(r"/(chat/completions|completions|embeddings|responses)$")


@options
class Server:
    """An OpenAI-compatible server; its key is OPENAI_API_KEY and is never written down."""

    url: str = ""  # http://host:8000/v1; empty: OPENAI_BASE_URL, else OpenAI's own
    concurrency: Annotated[int, Interval(ge=1, le=1024)] = 16  # requests under way at once
    per_minute: Limit = 0  # requests begun in a minute, retries included; 0: no limit
    timeout: Positive = 120.0  # seconds without a byte after which a request is abandoned
    attempts: Annotated[int, Interval(ge=1, le=1000)] = 6  # of one request
    prompt_price: Amount = 0.0  # dollars per million prompt tokens
    completion_price: Amount = 0.0  # dollars per million completion tokens

    @property
    def address(self) -> str:
        """What stands before `/chat/completions`.

        Raises:
            UserError: it is no http address.
        """
        url = (self.url or os.environ.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")
        # No user:password@: the address is written into bills and messages.
        if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", url) or not _is_readable(url):
            said = "; the key alone goes into OPENAI_API_KEY" if "@" in url else ""
            raise UserError(
                f"server address {hidden(url)!r}: give one such as http://localhost:8000/v1, in "
                f"server.url or OPENAI_BASE_URL{said}"
            )
        if found := _ENDPOINT.search(url):
            raise UserError(
                f"server address {url!r}: give what stands before {found[0]}, in server.url or "
                "OPENAI_BASE_URL"
            )
        return url

    def key(self) -> str:
        """The key; "" for a server that needs none.

        Raises:
            UserError: no header can hold it, or there is none and the server is OpenAI's own.
        """
        # No field of its own, so that no config, log or `repr` of the options ever holds it.
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key and self.address == OPENAI:
            raise UserError(
                "OPENAI_API_KEY is not set; set it, or set OPENAI_BASE_URL to a server that needs "
                "no key"
            )
        check_key("OPENAI_API_KEY", key)
        return key


def _is_readable(url: str) -> bool:
    """Whether httpx makes sense of an address: of its port and of the letters of its host."""
    try:
        parsed = httpx.URL(url)
        return bool(parsed.host) and (parsed.port or 80) < 2**16
    except (ValueError, httpx.InvalidURL):
        return False


def served_name(model: str) -> str:
    """`openai:NAME` → NAME; "" for a model that is not served.

    Raises:
        UserError: the name is missing.
    """
    if not model.startswith(PREFIX):
        return ""
    name = model.removeprefix(PREFIX)
    if not name:
        raise UserError(f"{model}: the model's name is missing; give {PREFIX}NAME")
    return name
