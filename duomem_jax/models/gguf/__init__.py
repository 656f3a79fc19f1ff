"""Models in GGUF, the format of llama.cpp: one file, unpacked once into a Hugging Face folder."""

from duomem_jax.models.gguf.unpack import SUFFIX, unpacked

__all__ = ["SUFFIX", "unpacked"]
