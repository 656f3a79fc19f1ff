"""Decoding at Qwen2.5-0.5B's shape, beside peers in one run: a token, and an episode of ten turns.

    python benchmarks/decode.py --peers PYTHON --tunix PYTHON

Random weights, float32, two threads. Each way runs in its own process, by turns, on the same
weights and tokens; no reply ends early. Greedy tokens must agree. A decode step reads every weight
once: that and the machine's bandwidth (of a large matrix times a vector) give the limit.
"""

import sys
import tempfile

import tyro
from beside import OURS, Way, bandwidth, measure, random_model

from duomem_jax.lora.tree import count
from duomem_jax.models.model import Model
from duomem_jax.report.table import markdown_table

TURNS, PROMPT, OBSERVATION, REPLY = 10, 512, 64, 24


def main(peers: str = "", tunix: str = "", layers: int = 24, rounds: int = 2) -> None:
    """Print three tables.

    Args:
        peers: an interpreter that has torch and transformers.
        tunix: an interpreter that has google-tunix.
        layers: fewer than 24 for a quick look.
        rounds: processes of each way; the fastest counts.
    """
    ways = [
        Way(OURS, sys.executable, "ours_decode.py"),
        Way("transformers generate", peers, "transformers_decode.py"),
        Way("Tunix sampler", tunix, "tunix_decode.py"),
    ]
    episodes = [
        Way(OURS, sys.executable, "ours_episode.py"),
        Way("transformers generate", peers, "transformers_episode.py", ("reread",)),
        Way("transformers, cache handed on", peers, "transformers_episode.py", ("kept",)),
        Way("Tunix sampler", tunix, "tunix_episode.py", ("padded",)),
        Way("Tunix sampler, exact lengths", tunix, "tunix_episode.py", ("exact",)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        config = random_model(folder, layers)
        weights = 4 * count(Model(config).shapes()["params"])
        for batch in (1, 8):
            found = measure(ways, rounds, folder, batch, 128, 33)
            limit = bandwidth()
            print(f"\nbatch {batch}; {limit / 1e9:.1f} GB/s at most\n")
            head = "way", "ms a step", "times ours", "GB/s", "of the limit", "peak MiB", "tokens"
            ours = found[OURS]["wall s a token"]
            steps = [
                (
                    name,
                    f"{1e3 * batch * row['wall s a token']:.1f}",
                    f"{row['wall s a token'] / ours:.2f}",
                    f"{weights / batch / row['wall s a token'] / 1e9:.1f}",
                    f"{weights / batch / row['wall s a token'] / limit:.0%}",
                    f"{row['peak MiB']:,.0f}",
                    str(row["tokens"][:3]),
                )
                for name, row in found.items()
            ]
            print(markdown_table(head, steps), flush=True)
        found = measure(episodes, rounds, folder, 1, TURNS, PROMPT, OBSERVATION, REPLY)
    print(f"\n{TURNS} turns: a prompt of {PROMPT} tokens, observations of {OBSERVATION}, ", end="")
    print(f"replies of {REPLY}\n")
    ours = found[OURS]["wall s"]
    rows = [
        (
            name,
            f"{row['wall s']:.1f}",
            f"{row['cpu s']:.1f}",
            f"{row['wall s'] / ours:.2f}",
            f"{row['peak MiB']:,.0f}",
        )
        for name, row in found.items()
    ]
    print(markdown_table(("way", "wall s", "CPU s", "times ours", "peak MiB"), rows))


if __name__ == "__main__":
    tyro.cli(main)
