"""What our ways of decoding share: a generator that gets whole conversations."""

from collections.abc import Callable

import jax
import numpy as np

from duomem_jax.decode.generator import Generator
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model


def turns(
    config: ModelConfig, base: dict, batch: int, max_len: int, reply: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from all tokens [B,T] of some conversations to `reply` new ones [B,reply].

    It reads what the cache does not hold yet; tokens [B,T] shorter than those before are others'.
    """
    generator = Generator(
        Model(config),
        base,
        slots=batch,
        max_len=max_len,
        eos_id=config.vocab_size - 1,
        max_new=reply,
    )
    held = max_len

    def turn(tokens: np.ndarray) -> np.ndarray:
        nonlocal held
        if tokens.shape[1] <= held:
            held = 0
            for slot in range(batch):
                generator.reset(slot)
        replies = generator.extend(dict(enumerate(tokens[:, held:].tolist())))
        held = tokens.shape[1] + reply
        # No reply ends early: no random model's likeliest token is the last of its vocabulary.
        return np.array([replies[slot] for slot in range(batch)])

    return turn


def load(folder: str) -> tuple[ModelConfig, dict]:
    """Configuration and parameters, each layer apart."""
    config, base = load_pretrained(folder, decoding=True)
    return config, jax.block_until_ready(base)
