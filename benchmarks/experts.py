"""One base with three experts against three models, and what a schema costs.

    python benchmarks/experts.py path/to/SmolLM2-135M-Instruct --quantize int8

Three adapters with random weights: rank 8 on q and v twice, rank 8 on all linear layers once. Each
way is measured in a process of its own: its largest memory, and tokens a second of a second round,
when all is compiled. A JSON line for each.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import jax
import numpy as np
import tyro

from duomem_jax.lora.peft import save_adapter
from duomem_jax.models.hf import fingerprint, load_config
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.records import chat
from duomem_jax.speak import Local, Reply, Request, Sampling, open_experts
from duomem_jax.speak.open import load_speaker

CONFIGS = {
    "extract": LoraConfig(8, 16.0, ("q_proj", "v_proj")),
    "update": LoraConfig(8, 16.0, ("q_proj", "v_proj")),
    "answer": LoraConfig(8, 16.0, ("all-linear",)),
}
FACTS = {
    "type": "object",
    "properties": {
        "facts": {
            "type": "array",
            "minItems": 2,
            "maxItems": 4,
            "items": {
                "type": "object",
                "properties": {
                    "turn": {"enum": [f"D1:{i}" for i in range(1, 9)]},
                    "speaker": {"enum": ["Ana", "Ben"]},
                    "text": {"type": "string", "maxLength": 60},
                },
                "required": ["turn", "speaker", "text"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["facts"],
    "additionalProperties": False,
}
PROMPT = (
    "Ana: My sister {n} moved to Lisbon last week, and I started to paint.\n"
    "Ben: Great! I sold my {n} old bikes and I am learning to cook.\n"
    "List the facts that are worth remembering, as JSON."
)
Answer = Callable[[Sequence[Request]], list[Reply | None]]


def make_adapters(folder: str, root: Path) -> dict[str, str]:
    """Folders of random adapters."""
    for seed, (name, config) in enumerate(CONFIGS.items()):
        rng = np.random.default_rng(seed)
        shapes = Model(load_config(folder, "float32"), config).shapes()["lora"]
        tree = jax.tree.map(lambda x, rng=rng: 0.01 * rng.normal(size=x.shape).astype("f"), shapes)
        save_adapter(root / name, tree, config, fingerprint(folder), base_name="base")
    return {name: str(root / name) for name in CONFIGS}


def requests(count: int, how: Sampling) -> list[Request]:
    """So many for each expert, side by side."""
    return [
        Request([chat.user(PROMPT.format(n=n))], how, name)
        for n in range(count)
        for name in CONFIGS
    ]


def timed(answer: Answer, asked: Sequence[Request]) -> dict[str, float]:
    """Seconds of a second round, and what was written in it."""
    answer(asked)
    start, cpu = time.monotonic(), time.process_time()
    replies = [reply for reply in answer(asked) if reply is not None]
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    tokens = sum(reply.new_tokens for reply in replies)
    return {
        "seconds_per_reply": round(seconds / len(replies), 2),
        "tokens_per_reply": round(tokens / len(replies), 1),
        "tokens_per_second": round(tokens / seconds, 2),
        # Of all cores: what others do on the machine changes it less.
        "processor_seconds_per_token": round(cpu / tokens, 4),
        "cut": sum(reply.cut for reply in replies),
    }


def memory() -> dict[str, int]:
    """The largest memory of this process so far, loading and compiling included, and now; MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "held_mib": pages * resource.getpagesize() // 2**20,
    }


def one_base(folder: str, adapters: dict[str, str], hold: Local, count: int, new: int) -> dict:
    experts = open_experts(folder, adapters, hold)
    found = timed(lambda asked: list(experts.answer(asked)), requests(count, Sampling(new)))
    return found | memory()


def three_models(folder: str, adapters: dict[str, str], hold: Local, count: int, new: int) -> dict:
    models = {
        name: load_speaker(folder, dataclasses.replace(hold, adapter=adapter))
        for name, adapter in adapters.items()
    }

    def answer(asked: Sequence[Request]) -> list[Reply | None]:
        return [
            reply
            for name, model in models.items()
            for reply in model.answer(r for r in asked if r.expert == name)
        ]

    return timed(answer, requests(count, Sampling(new))) | memory()


def schema(folder: str, adapters: dict[str, str], hold: Local, count: int, new: int) -> dict:
    """With and without; replies of three times as many tokens, so that most are not cut."""
    experts = open_experts(folder, adapters, hold)
    answer = lambda asked: list(experts.answer(asked))  # noqa: E731
    return {
        "constrained": timed(answer, requests(count, Sampling(3 * new, schema=FACTS))),
        "free": timed(answer, requests(count, Sampling(3 * new))),
    }


WAYS = {"one base": one_base, "three models": three_models, "schema": schema}


def main(
    folder: str,
    /,
    quantize: Literal["", "int8", "nf4"] = "",
    count: int = 2,
    new: int = 32,
    way: str = "",
) -> None:
    if way:
        with tempfile.TemporaryDirectory() as root:
            adapters = make_adapters(folder, Path(root))
            hold = Local(max_len=512, quantize=quantize)
            found = WAYS[way](folder, adapters, hold, count, new)
        print(json.dumps({"way": way, "quantize": quantize or "float32"} | found))
        return
    for name in WAYS:
        subprocess.run([sys.executable, *sys.argv, "--way", name], check=True)


if __name__ == "__main__":
    tyro.cli(main)
