"""Chats as tokens: tokenizers, templates, turns, the bytes of tokens, alignment."""

from duomem_jax.text.tokenizer import ChatTokens, chat_tokens, load_tokenizer
from duomem_jax.text.turns import GameChat, episode_messages

__all__ = [
    "ChatTokens",
    "GameChat",
    "chat_tokens",
    "episode_messages",
    "load_tokenizer",
]
