"""Episodes of many games at once: the cache kept, the history re-read, and transformers.

    python benchmarks/episode.py --slots 32 --turns 10

Random weights of one shape for all; each conversation has a prompt, then observations and replies
by turns. Replies never end early. Every way gets the same lengths, in one process and one run.
Times are processor seconds; compiling is omitted.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import tyro

from duomem_jax.decode.generator import Generator
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.model import Model

VOCAB = 1024
END = VOCAB - 1
Conversations = dict[int, list[int]]
Turn = Callable[[Conversations, Conversations], Conversations]  # held, new -> replies


def play(turn: Turn, slots: int, turns: int, prompt: int, observation: int) -> float:
    """Processor seconds of all turns of all slots."""
    rng = np.random.default_rng(0)
    held: Conversations = {slot: [] for slot in range(slots)}
    start = time.process_time()
    for k in range(turns):
        n = observation if k else prompt
        new = {slot: rng.integers(END, size=n).tolist() for slot in held}
        replies = turn(held, new)
        for slot in held:
            held[slot] += new[slot] + replies[slot]
    return time.process_time() - start


def ours(model: Model, base: dict, slots: int, reply: int, *, keep: bool) -> Turn:
    """Turns of a `Generator`; without `keep` every turn reads the whole conversation again."""
    generator = Generator(
        model, base, slots=slots, max_len=model.config.max_len, eos_id=END, max_new=reply
    )

    def turn(held: Conversations, new: Conversations) -> Conversations:
        for slot, before in held.items():
            if not (keep and before):
                generator.reset(slot)
        if not keep:
            new = {slot: held[slot] + tokens for slot, tokens in new.items()}
        return generator.extend(new)

    return turn


def transformers(folder: Path, reply: int) -> Turn:
    """Turns of `generate`, which is given the whole conversations each time."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()

    def turn(held: Conversations, new: Conversations) -> Conversations:
        ids = torch.tensor([held[slot] + tokens for slot, tokens in new.items()])
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=reply,
                min_new_tokens=reply,
                pad_token_id=0,
            )
        return dict(zip(new, out[:, ids.shape[1] :].tolist(), strict=True))

    return turn


def main(
    slots: int = 32,
    turns: int = 10,
    prompt: int = 160,
    observation: int = 24,
    reply: int = 24,
    width: int = 192,
    layers: int = 4,
    peer: bool = True,
) -> None:
    """Print the figures.

    Args:
        slots: games at once.
        turns: replies in each game.
        prompt: tokens of the first message.
        observation: tokens of every later message.
        reply: tokens of each reply.
        width: model width; heads of 48, two key/value heads.
        layers: model layers.
        peer: also run transformers on torch.
    """
    length = -(-(prompt + turns * (observation + reply)) // 256) * 256
    config = ModelConfig(
        *("qwen3", VOCAB, width, layers, width // 48, 2, 48, 3 * width), max_len=length
    )
    model = Model(config)
    rng = np.random.default_rng(0)
    base = jax.tree.map(
        lambda x: (0.05 * rng.normal(size=x.shape)).astype("f"), model.shapes()["params"]
    )
    base["embedding"][END] = 0.0  # its logit is 0, never the largest: replies do not end early
    ways = {
        "cache kept": ours(model, base, slots, reply, keep=True),
        "history re-read": ours(model, base, slots, reply, keep=False),
    }
    with tempfile.TemporaryDirectory() as folder:
        if peer:
            save_pretrained(folder, config, base)
            ways["transformers generate"] = transformers(Path(folder), reply)
    report: dict[str, dict[str, float]] = {}
    for name, turn in ways.items():
        if not name.startswith("transformers"):
            play(turn, slots, turns, prompt, observation)  # compiles
    first = 0.0
    for name, turn in ways.items():
        seconds = play(turn, slots, turns, prompt, observation)
        first = first or seconds
        report[name] = {
            "cpu s": round(seconds, 2),
            "new tokens per cpu s": round(slots * turns * reply / seconds),
            "games per cpu s": round(slots / seconds, 2),
            "times the first": round(seconds / first, 1),
        }
    parameters = sum(x.size for x in jax.tree.leaves(base))
    print(json.dumps({"parameters": parameters, "max_len": length} | report, indent=1))


if __name__ == "__main__":
    tyro.cli(main)
