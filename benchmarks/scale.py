"""A training step and playing on 1 to 256 chips, simulated, and what was measured beside it.

    python benchmarks/scale.py

No chip is used. The shares of a chip's peaks (`aot.simulate.Reach`) were measured one by one on
one H200: a large product, a large sum, the attention of one layer, a decode step with 8 rows. No
time of a training step went into them, nor that of a decode step with 64. The TPUs are taken to
reach the same shares of their own peaks, which nobody has measured.
"""

import dataclasses

import tyro
from memory import SHAPES

from duomem_jax.aot.simulate import (
    Cost,
    Games,
    Reach,
    cache_size,
    decode_step,
    play,
    train_step,
    weights_size,
)
from duomem_jax.mesh.chips import CHIPS, Chip
from duomem_jax.models.config import ModelConfig
from duomem_jax.report.table import markdown_table

RANK = 16
QWEN = SHAPES["qwen3-4b"]
MODELS = {
    "SmolLM2-135M": ModelConfig("llama", 49_152, 576, 30, 9, 3, 64, 1536, qk_norm=False),
    "Qwen3-4B": QWEN,
}

# NVIDIA's data sheet of the H200 SXM: dense bfloat16 (it prints twice that, with sparsity), HBM3e,
# NVLink in both directions. Beyond eight of them, the data sheet of the DGX H200: 400 Gbit/s each.
H200 = Chip("H200", 0, 141 * 10**9, 989.5e12, 4.8e12, 900e9)
NVLINK, BEYOND = 8, 2 * 50e9

# Measured on one H200 (docs/aot.md, docs/students.md): operations and bytes a second, seconds.
PRODUCT, SUM = 810e12, 4.36e12
ATTENTION = {  # rows, length: of one layer of Qwen3-4B's shape: forward, with backward
    "loops": {(4, 4096): (8.6e-3, 22.6e-3), (32, 512): (1.41e-3, 3.55e-3)},
    "cuDNN": {(4, 4096): (1.25e-3, 6.52e-3)},  # three segments a row, taken for one
}
STEPS = {(4, 4096): 4 * 4096 / 8949, (32, 512): 0.954, (1, 4096): 0.582}  # with loops
DECODE = {8: 3.40e-3, 64: 6.43e-3, 1: 4.0e-3}  # rows; caches of 1,024 tokens

LENGTH = 4096
ROWS = {"v5e": 1, "v6e": 4, "H200": 4}  # on each chip, as memory allows
COUNTS = (1, 4, 16, 64, 256)
GAMES = Games(count=134, turns=30, prompt=512, read=48, reply=16)


def reach(kind: str, shape: tuple[int, int]) -> Reach:
    """Of the peaks in the data sheet; attention's from one layer alone, of this shape."""
    rows, length = shape
    forward, both = ATTENTION[kind][shape]
    seen = rows * length * (length + 1) / 2 * 2 * QWEN.n_heads * QWEN.head_dim
    read = 2 * weights_size(QWEN) + 8 * cache_size(QWEN, 1024)
    return Reach(
        products=PRODUCT / H200.flops,
        memory=SUM / H200.hbm_rate,
        forward=2 * seen / forward / H200.flops,
        backward=5 * seen / (both - forward) / H200.flops,
        decode=read / DECODE[8] / H200.hbm_rate,
    )


KERNEL = reach("cuDNN", (4, 4096))  # attention as it is now


def check() -> list[tuple[str, ...]]:
    """Rows of the table of what was measured."""
    rows: list[tuple[str, ...]] = []
    for (b, t), measured in STEPS.items():
        alone = (b, t) if (b, t) in ATTENTION["loops"] else (4, t)
        step = train_step(QWEN, RANK, b, t, H200, reach("loops", alone)).step
        used = "of this shape" if alone == (b, t) else "of 4 rows"
        rows.append((f"train, {b} x {t:,}", f"attention {used}", *_beside(step, measured)))
    for b, measured in DECODE.items():
        used = "this very time" if b == 8 else "decoding 8 rows"
        step = decode_step(QWEN, b, 1024, H200, KERNEL)
        rows.append((f"decode, rows: {b}", used, *_beside(step, measured)))
    return rows


def _beside(simulated: float, measured: float) -> tuple[str, str, str]:
    off = 100 * (simulated / measured - 1)
    return f"{1e3 * simulated:,.2f}", f"{1e3 * measured:,.2f}", f"{off:+.1f}"


def training(name: str, chip: Chip) -> tuple[str, ...]:
    """A row of the table of training steps."""
    rows = ROWS[chip.name]

    def cost(chips: int) -> Cost:
        # A ring is as fast as its slowest link.
        beyond = chip is H200 and chips > NVLINK
        linked = dataclasses.replace(chip, ici_rate=BEYOND) if beyond else chip
        return train_step(MODELS[name], RANK, rows, LENGTH, linked, KERNEL, chips)

    one, most = cost(1), cost(COUNTS[-1])
    speeds = [n * rows * LENGTH / cost(n).step for n in COUNTS]
    return (
        name,
        chip.name,
        f"{rows}",
        f"{one.flops / 1e12:.0f}",
        f"{one.hbm / 1e9:,.0f}",
        f"{most.received / 2**20:.0f}",
        f"{1e3 * one.step:,.0f}",
        f"{1e3 * most.step:,.0f}",
        *(f"{speed / 1e3:,.1f}" for speed in speeds),
        f"{1e6 / speeds[0] / 3600:.3f}",
    )


def playing(name: str, chip: Chip) -> tuple[str, ...]:
    """A row of the table of games: seconds by the number of chips."""
    seconds = [play(MODELS[name], RANK, GAMES, chip, KERNEL, n) for n in COUNTS]
    return name, chip.name, *(f"{s:.1f}" for s in seconds)


def main() -> None:
    """Print three tables in Markdown."""
    chips = [*(chip for chip in CHIPS.values() if chip.name in ROWS), H200]
    pairs = [(name, chip) for name in MODELS for chip in chips]
    head = "Qwen3-4B on one H200", "chosen by", "simulated ms", "measured ms", "off by %"
    print(markdown_table(head, check()))
    counts = [f"{n}" for n in COUNTS]
    work = "model", "chip", "rows a chip", "TFLOP", "memory GB", f"MiB received, of {counts[-1]}"
    times = "ms, 1 chip", f"ms, {counts[-1]}", f"k tokens/s, {counts[0]}", *counts[1:]
    rows = [training(*pair) for pair in pairs]
    print("\n" + markdown_table((*work, *times, "chip-hours a million tokens"), rows))
    games = "model", "chip", f"s, {counts[0]} chip", *counts[1:]
    print("\n" + markdown_table(games, [playing(*pair) for pair in pairs]))


if __name__ == "__main__":
    tyro.cli(main)
