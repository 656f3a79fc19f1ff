"""transformers' `generate` in an episode.

The last argument is `reread` (`generate` gets the conversation only, the default) or `kept` (it
gets the cache of the turn before as well).
"""

import sys

import numpy as np
import torch
from measure import Episode, report_episode
from transformers import AutoModelForCausalLM, Cache

folder = sys.argv[1]
episode = Episode(*map(int, sys.argv[2:7]))
keep = sys.argv[7:] == ["kept"]
torch.set_num_threads(2)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
model.generation_config.eos_token_id = None  # no reply ends early
cache: Cache | None = None


@torch.inference_mode()
def turn(tokens: np.ndarray) -> np.ndarray:
    """The new tokens of one turn."""
    global cache
    if tokens.shape[1] == episode.prompt:
        cache = None
    ids = torch.tensor(tokens)
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        past_key_values=cache,
        do_sample=False,
        max_new_tokens=episode.reply,
        return_dict_in_generate=True,
    )
    cache = out.past_key_values if keep else None
    return out.sequences[:, ids.shape[1] :].numpy()


report_episode(turn, model.config.vocab_size, episode, warm=1)
