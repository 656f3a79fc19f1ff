"""duomem_jax's generator; every call is a new conversation."""

import sys

import numpy as np
from measure import prompts, report_decode
from ours_generator import load, turns

batch, prompt, new = map(int, sys.argv[2:5])
config, base = load(sys.argv[1])
# Two, as the length of a reply is compiled in.
generators = {n: turns(config, base, batch, prompt + new, n) for n in (new, 1)}
tokens = prompts(batch, prompt, config.vocab_size)


def generate(n: int) -> np.ndarray:
    """The new tokens."""
    return generators[n](tokens)


report_decode(generate, batch, new)
