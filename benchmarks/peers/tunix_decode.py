"""Tunix's sampler."""

import sys

from measure import prompts, report_decode
from tunix_qwen2 import generator, load

folder = sys.argv[1]
batch, prompt, new = map(int, sys.argv[2:5])
model = load(folder)
generate = generator(model, prompt + new)
tokens = prompts(batch, prompt, model.config.vocab_size)
report_decode(lambda n: generate(tokens, n), batch, new)
