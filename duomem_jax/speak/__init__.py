"""Whatever answers chats: models that run here, and models behind a server."""

from duomem_jax.speak.open import Local, open_speaker, speaker_identity
from duomem_jax.speak.protocol import Conversations, Reply, Sampling, Speaker

__all__ = [
    "Conversations",
    "Local",
    "Reply",
    "Sampling",
    "Speaker",
    "open_speaker",
    "speaker_identity",
]
