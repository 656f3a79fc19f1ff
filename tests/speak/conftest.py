"""A server that answers chats."""

import pytest
from faulty_server import parrot, serving


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(parrot) as server:
        yield server
