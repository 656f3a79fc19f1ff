"""duomem_jax's generator in an episode: what was read or written once stays in the cache."""

import sys

from measure import Episode, report_episode
from ours_generator import load, turns

episode = Episode(*map(int, sys.argv[2:7]))
config, base = load(sys.argv[1])
longest = episode.prompt + episode.turns * (episode.observation + episode.reply)
turn = turns(config, base, episode.batch, longest, episode.reply)
report_episode(turn, config.vocab_size, episode, warm=episode.turns)
