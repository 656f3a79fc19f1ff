"""What a run of training needs on the devices at hand: memory, and time at the least."""

import time
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from duomem_jax.aot.roofline import model_flops
from duomem_jax.aot.steps import RowSizes, compile_train
from duomem_jax.models.config import DTYPES
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.plan import sketch

WIDTH = 2048  # of the product whose speed is measured


@dataclass(frozen=True)
class Needs:
    """One run on the devices at hand.

    Attributes:
        model: the base.
        bytes: weights, state and temporaries on each device.
        seconds: of all steps, if every operation ran at the speed of a large product.
        flops: that speed, a second, of all devices.
    """

    model: str
    bytes: int
    seconds: float
    flops: float


def needs(config: TrainConfig, rows: RowSizes) -> Needs:
    """Compile the train step for the devices at hand, and time a product on one of them.

    Args:
        config: of the run; of `base` the config.json alone is read.
        rows: what the data would say.

    Raises:
        UserError: no such model, or a mesh that is impossible.
    """
    devices = jax.devices()
    plan = sketch(config, devices)
    rows = rows.read_by(plan)
    memory = compile_train(plan, rows).memory_analysis()
    assert memory is not None
    whole = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    flops = product_speed(config.dtype) * len(devices)
    seconds = config.steps * model_flops(plan, rows) / flops
    return Needs(config.base, whole, seconds, flops)


def product_speed(dtype: str) -> float:
    """Operations a second of a large matrix product on the first device, the best of ten."""
    x = jnp.ones((WIDTH, WIDTH), DTYPES[dtype])
    product = jax.jit(lambda a: a @ a).lower(x).compile()
    product(x).block_until_ready()

    def seconds() -> float:
        start = time.perf_counter()
        product(x).block_until_ready()
        return time.perf_counter() - start

    return 2 * WIDTH**3 / min(seconds() for _ in range(10))
