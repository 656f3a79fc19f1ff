"""What a function is being compiled for, which may not be what it is traced on."""

import jax


def platform() -> str:
    """ "cpu", "gpu" or "tpu": of the current mesh, else of the default device."""
    # A mesh of absent chips (`aot`) knows its device; the default backend is this host's.
    device = jax.sharding.get_abstract_mesh().abstract_device
    return device.platform if device else jax.default_backend()


def on_one_cpu() -> bool:
    """Whether it is a single CPU device, where small blocks in loops are fastest."""
    return platform() == "cpu" and jax.sharding.get_abstract_mesh().size <= 1
