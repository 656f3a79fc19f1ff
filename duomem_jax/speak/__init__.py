"""Whatever answers chats: models that run here, and models behind a server."""

from duomem_jax.speak.open import Local, open_experts, open_speaker, speaker_identity
from duomem_jax.speak.parse import Parsed, parse
from duomem_jax.speak.protocol import Conversations, Reply, Request, Sampling, Speaker

__all__ = [
    "Conversations",
    "Local",
    "Parsed",
    "Reply",
    "Request",
    "Sampling",
    "Speaker",
    "open_experts",
    "open_speaker",
    "parse",
    "speaker_identity",
]
