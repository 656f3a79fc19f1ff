"""transformers' `generate`."""

import sys

import numpy as np
import torch
from measure import prompts, report_decode
from transformers import AutoModelForCausalLM

folder = sys.argv[1]
batch, prompt, new = map(int, sys.argv[2:5])
torch.set_num_threads(2)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
model.generation_config.eos_token_id = None  # no reply ends early
ids = torch.tensor(prompts(batch, prompt, model.config.vocab_size))


@torch.inference_mode()
def generate(n: int) -> np.ndarray:
    """The new tokens."""
    mask = torch.ones_like(ids)
    out = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=n)
    return out[:, prompt:].numpy()


report_decode(generate, batch, new)
