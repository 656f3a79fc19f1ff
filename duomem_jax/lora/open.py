"""A model as a stage uses it: weights, the adapter on them, and what tells them from others."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from duomem_jax.lora.peft import adapter_fingerprint, load_adapter
from duomem_jax.lora.tree import merge
from duomem_jax.models.hf import decoder_naming, fingerprint
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.locate import model_name
from duomem_jax.models.model import Model
from duomem_jax.models.trees import AdapterTree, Params, Shardings

SHOWN = 8  # digits of a fingerprint in a name


@dataclass(frozen=True)
class Opened:
    """A base model and, on it, an adapter or none.

    Attributes:
        model: shapes; knows the adapter's config where there is one.
        base: parameters.
        lora: adapter tree, or None.
        folder: Hugging Face folder of the base.
    """

    model: Model
    base: Params
    lora: AdapterTree | None
    folder: str

    def with_adapter(self, adapter: str) -> "Opened":
        """The same base under another adapter; "" takes the adapter off.

        Raises:
            UserError: not a PEFT folder, or made for another base.
        """
        # `replace` shares the base's arrays: adapters are swapped without loading the base again.
        if not adapter:
            return dataclasses.replace(self, model=self.model.with_lora(None), lora=None)
        lora, config = load_adapter(
            adapter, self.model, fingerprint(self.folder), decoder_naming(self.folder)
        )
        return dataclasses.replace(self, model=self.model.with_lora(config), lora=lora)

    def merged(self) -> Params:
        """The base's parameters with the adapter added into its kernels.

        Raises:
            ValueError: there is no adapter.
        """
        if self.model.lora is None or self.lora is None:
            raise ValueError(f"{self.folder}: no adapter to merge")
        return merge(self.base, self.lora, self.model.lora)


def open_model(
    folder: str,
    adapter: str = "",
    *,
    dtype: str = "float32",
    quantize: str = "",
    shardings: Shardings | None = None,
    decoding: bool = False,
) -> Opened:
    """Load a base model and an adapter.

    Args:
        folder: Hugging Face folder (`models.locate.model_path` finds it).
        adapter: PEFT folder; empty: none.
        dtype: of the parameters and the activations.
        quantize: how the base's kernels are held, see `models.quantize.KINDS`.
        shardings: of the base's parameters, see `models.load.load_pretrained`.
        decoding: parameters lie as a generator wants them, not as training does.

    Raises:
        UserError: a folder is missing or damaged, or the adapter is another base's.
    """
    config, base = load_pretrained(folder, dtype, shardings, quantize, decoding=decoding)
    return Opened(Model(config), base, None, folder).with_adapter(adapter)


def content_name(folder: str, adapter: str = "") -> str:
    """Who a model is: its name and what is in its files, such as `tiny-student@0f3c+text@9ab1`.

    Folders alone would not tell: every adapter lies in one called `adapter`.

    Raises:
        UserError: a folder is missing, or `adapter` is none.
    """
    name = f"{model_name(folder)}@{fingerprint(folder)[:SHOWN]}"
    if not adapter:
        return name
    # Resolved, since the name of "." is empty.
    path = Path(adapter).resolve()
    run = path.parent.name if path.name == "adapter" else path.name
    return f"{name}+{run}@{adapter_fingerprint(adapter)[:SHOWN]}"
