"""What a model family has to say about itself, and what most of them have in common."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from duomem_jax.base.errors import UserError
from duomem_jax.models.config import ACTIVATIONS, ModelConfig
from duomem_jax.models.rope import Rope

HfConfig: TypeAlias = dict[str, Any]  # a config.json
Arguments: TypeAlias = dict[str, Any]  # of `ModelConfig`, by name
MOST_LAYERS = 1000  # eight times those of the deepest models


@dataclass(frozen=True)
class Weight:
    """One tensor of a Hugging Face checkpoint and where it lives in our tree."""

    hf: str  # name; "{l}" stands for the layer, which becomes the leading axis
    path: tuple[str, ...]
    transpose: bool = False  # Hugging Face stores projections [out, in]
    ones: int = 0  # axes of length one in front of the tensor, which our parameter has not


@dataclass(frozen=True)
class Family:
    """Readers and writers of one `model_type`.

    `from_hf` gets the config as transformers completes it: defaults filled in, old spellings
    (`rope_scaling`, `sliding_window_pattern`) turned into today's.
    """

    model_type: str
    from_hf: Callable[[HfConfig], ModelConfig]
    to_hf: Callable[[ModelConfig], HfConfig]
    weights: Callable[[ModelConfig], list[Weight]]


def supported(hf: HfConfig, field: str, *values: Any) -> Any:
    """The field's value.

    Raises:
        UserError: it is none of `values`.
    """
    if hf.get(field) not in values:
        names = ", ".join(repr(v) for v in values)
        raise UserError(f"config.json: field {field} is {hf.get(field)!r}; supported: {names}")
    return hf.get(field)


def whole(hf: HfConfig, field: str) -> int:
    """The field's value, a whole number above 0.

    Raises:
        UserError: it is none.
    """
    value = hf.get(field)
    if type(value) is not int or value < 1:
        raise UserError(
            f"config.json: field {field} is {value!r}; a whole number above 0 is needed"
        )
    return value


def positive(hf: HfConfig, field: str) -> float:
    """The field's value, a finite number above 0.

    Raises:
        UserError: it is none.
    """
    value: Any = hf.get(field)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise UserError(f"config.json: field {field} is {value!r}; a number above 0 is needed")
    return value


def layers(hf: HfConfig) -> int:
    """The number of layers.

    Raises:
        UserError: it is none, or so large that the names of the tensors would fill the memory.
    """
    count = whole(hf, "num_hidden_layers")
    if count > MOST_LAYERS:
        raise UserError(
            f"config.json: field num_hidden_layers is {count}; up to {MOST_LAYERS} are supported"
        )
    return count


def common_config(hf: HfConfig, activation: str = "hidden_act") -> Arguments:
    """The arguments of `ModelConfig` that every family spells alike; `rope` is not among them.

    Args:
        hf: a completed config.
        activation: how the family calls that field.
    """
    supported(hf, "is_causal", None, True)  # attention that sees what comes after it
    heads, width = whole(hf, "num_attention_heads"), whole(hf, "hidden_size")
    # Where a config has no head_dim, the heads share the width evenly.
    given = {**hf, "head_dim": hf.get("head_dim") or width // heads}
    return {
        "family": hf["model_type"],
        "vocab_size": whole(hf, "vocab_size"),
        "d_model": width,
        "n_layers": layers(hf),
        "n_heads": heads,
        "n_kv_heads": whole(hf, "num_key_value_heads"),
        "head_dim": whole(given, "head_dim"),
        "d_ff": whole(hf, "intermediate_size"),
        "norm_eps": positive(hf, "rms_norm_eps"),
        "tied": supported(hf, "tie_word_embeddings", True, False),
        "max_len": whole(hf, "max_position_embeddings"),
        "activation": supported(hf, activation, *ACTIVATIONS),
    }


def read_rope(hf: HfConfig, layer_type: str = "") -> Rope:
    """The rotation of a config, or of one of its kinds of layers."""
    field, found = "rope_parameters", hf["rope_parameters"]
    if layer_type:
        field, found = f"{field}.{layer_type}", found[layer_type]
    # The original context is the present one where a config does not say otherwise.
    whole = {"original_max_position_embeddings": hf["max_position_embeddings"], **found}
    return Rope.from_hf(whole, field)


def sliding_layers(hf: HfConfig) -> Arguments:
    """`sliding` and `window` of `ModelConfig`, from `layer_types`."""
    kinds = hf["layer_types"]
    for kind in kinds:
        if kind not in ("full_attention", "sliding_attention"):
            raise UserError(
                f"config.json: field layer_types has {kind!r}; supported: 'full_attention', "
                "'sliding_attention'"
            )
    sliding = tuple(kind == "sliding_attention" for kind in kinds)
    return {"sliding": sliding, "window": whole(hf, "sliding_window")} if any(sliding) else {}


def common_hf(c: ModelConfig, architecture: str, activation: str = "hidden_act") -> HfConfig:
    """The fields of config.json that every family spells alike."""
    return {
        "architectures": [architecture],
        "model_type": c.family,
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "num_hidden_layers": c.n_layers,
        "num_attention_heads": c.n_heads,
        "num_key_value_heads": c.n_kv_heads,
        "head_dim": c.head_dim,
        "intermediate_size": c.d_ff,
        activation: c.activation,
        "rope_parameters": c.rope.to_hf(),
        "rms_norm_eps": c.norm_eps,
        "tie_word_embeddings": c.tied,
        "max_position_embeddings": c.max_len,
        "attention_dropout": 0.0,
    }


def sliding_hf(c: ModelConfig) -> HfConfig:
    """The fields of config.json that say which layers slide."""
    # Spelled out for every layer: left out, transformers would fill in its own pattern.
    sliding = c.sliding or (False,) * c.n_layers
    kinds = ["sliding_attention" if s else "full_attention" for s in sliding]
    return {"layer_types": kinds, "sliding_window": c.window or None}


def decoder_weights(c: ModelConfig) -> list[Weight]:
    """The tensors of a decoder whose modules are named as Llama names them."""

    def linear(block: str, names: Iterable[str]) -> list[Weight]:
        # Doubled braces survive this first formatting: `{l}` is filled in layer by layer.
        hf = "model.layers.{{l}}.{}.{}.{}".format
        out = [
            Weight(hf(block, n, "weight"), ("layers", block, n, "kernel"), transpose=True)
            for n in names
        ]
        # Of all projections only these three have biases in the families that have any.
        biased = [n for n in names if c.attn_bias and n in ("q_proj", "k_proj", "v_proj")]
        return out + [Weight(hf(block, n, "bias"), ("layers", block, n, "bias")) for n in biased]

    def norm(*path: str) -> Weight:
        return Weight(f"model.layers.{{l}}.{'.'.join(path)}.weight", ("layers", *path, "scale"))

    norms = ["input_layernorm", "post_attention_layernorm"]
    if c.post_norms:
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    out = [
        Weight("model.embed_tokens.weight", ("embedding",)),
        Weight("model.norm.weight", ("norm", "scale")),
        *(norm(name) for name in norms),
        *(norm("self_attn", name) for name in ("q_norm", "k_norm") if c.qk_norm),
        *linear("self_attn", ("q_proj", "k_proj", "v_proj", "o_proj")),
        *linear("mlp", ("gate_proj", "up_proj", "down_proj")),
    ]
    # A tied head has no tensor of its own; some checkpoints store it twice all the same.
    if not c.tied:
        out.append(Weight("lm_head.weight", ("head",), transpose=True))
    return out
