"""Tunix's sampler in an episode: the history is re-read each turn.

The last argument is `exact` (each prompt is read at its own length, the default) or `padded` (the
sampler's default: to the next power of two). Every length compiles once; that is not timed.
"""

import sys

from measure import Episode, report_episode
from tunix_qwen2 import generator, load

folder = sys.argv[1]
episode = Episode(*map(int, sys.argv[2:7]))
padded = sys.argv[7:] == ["padded"]
model = load(folder)
longest = episode.prompt + (episode.turns - 1) * (episode.observation + episode.reply)
if padded:
    longest = 1 << (longest - 1).bit_length()
generate = generator(model, longest + episode.reply)
report_episode(
    lambda tokens: generate(tokens, episode.reply, padded=padded),
    model.config.vocab_size,
    episode,
    warm=episode.turns,
)
