"""The embedded default: tiny models of words and one that sees; their folders are beside it."""

from importlib import resources
from pathlib import Path

from duomem_jax.base.errors import UserError

NAMES = ("tiny-teacher", "tiny-student", "tiny-listener", "tiny-seer")


def model_folder(name: str) -> Path:
    """Folder of a model that ships with the package (a Hugging Face folder).

    Raises:
        UserError: no such model.
    """
    if name not in NAMES:
        raise UserError(f"no model named {name!r} ships with duomem_jax; choose one of {NAMES}")
    return Path(str(resources.files("duomem_jax.models.shipped"))) / name
