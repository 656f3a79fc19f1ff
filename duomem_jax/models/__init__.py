"""The decoder, its families, and weights from and to Hugging Face folders."""

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.locate import model_path
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder

__all__ = [
    "LoraConfig",
    "Model",
    "ModelConfig",
    "load_pretrained",
    "model_folder",
    "model_path",
]
