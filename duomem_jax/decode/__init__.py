"""Write replies for many conversations at once."""

from duomem_jax.decode.generator import Generator

__all__ = [
    "Generator",
]
