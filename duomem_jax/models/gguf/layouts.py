"""The families as llama.cpp lays them out: what their files say, and what was done to tensors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.models.families.base import HfConfig
from duomem_jax.models.gguf.file import GgufFile
from duomem_jax.models.rope import Rope

ROPE_FACTORS = "rope_freqs.weight"  # by which each pair of a head turns slower
EMBEDDING, HEAD = "token_embd.weight", "output.weight"

# What every family says of itself under these names; the rest stays with the functions below.
_SHARED = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
_READ = {
    *_SHARED,
    *("vocab_size", "attention.key_length", "attention.value_length", "attention.sliding_window"),
    *("rope.freq_base", "rope.dimension_count", "rope.scaling.type", "rope.scaling.factor"),
    *("rope.scaling.original_context_length", "rope.scaling.finetuned"),
}
_IDS = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"}
_CAPS = {"attn_logit_softcapping", "final_logit_softcapping"}
_PATTERN, _LOCAL_BASE = "attention.sliding_window_pattern", "rope.freq_base_swa"


@dataclass(frozen=True)
class Layout:
    """One architecture of llama.cpp.

    Attributes:
        model_type: of transformers.
        classes: its `architectures`.
        more: fields of config.json that are the family's own.
        keys: what its files may say beside that which all say.
        offset_norms: norms are stored with 1 added to them.
        interleaved: rows of q and k are in the order of Meta's own rotation.
    """

    model_type: str
    classes: str
    more: Callable[[GgufFile], HfConfig]
    keys: frozenset[str] = frozenset()
    offset_norms: bool = False
    interleaved: bool = False


def config_of(file: GgufFile) -> HfConfig:
    """What config.json of the model says.

    Raises:
        UserError: a family that is not known, or something that the file says is not applied.
    """
    layout = layout_of(file)
    if unknown := sorted(set(file.own_keys()) - _READ - layout.keys):
        raise UserError(
            f"{file.path}: {file.architecture}.{unknown[0]} is {file.own(unknown[0])!r}, which "
            "this version does not know; use the model's Hugging Face folder instead"
        )
    shared = {theirs: file.own(ours) for ours, theirs in _SHARED.items()}
    return {
        "architectures": [layout.classes],
        "model_type": layout.model_type,
        **shared,
        "head_dim": _head_dim(file),
        # What the tokenizer holds is less where a table was padded.
        "vocab_size": file.shape(EMBEDDING)[0],
        "tie_word_embeddings": HEAD not in file.names(),
        **{theirs: file.get(f"tokenizer.ggml.{ours}_token_id") for theirs, ours in _IDS.items()},
        **layout.more(file),
    }


def layout_of(file: GgufFile) -> Layout:
    """How a file's architecture is laid out.

    Raises:
        UserError: it is not known.
    """
    if file.architecture not in LAYOUTS:
        raise UserError(
            f"{file.path}: general.architecture is {file.architecture!r}; supported: "
            f"{', '.join(LAYOUTS)}"
        )
    return LAYOUTS[file.architecture]


def _head_dim(file: GgufFile) -> int:
    width, heads = file.own("embedding_length"), file.own("attention.head_count")
    whole = isinstance(width, int) and isinstance(heads, int) and heads > 0
    found = file.own("attention.key_length", width // heads if whole else None)
    for other in ("attention.value_length", "rope.dimension_count"):
        if (value := file.own(other, found)) != found:
            raise UserError(
                f"{file.path}: {file.architecture}.{other} is {value!r} where keys have {found!r} "
                "numbers; only models are supported in which they are equal"
            )
    return found


def _rope(file: GgufFile) -> HfConfig:
    """The rotation of the layers that see everything."""
    rope = {"rope_type": "default", "rope_theta": file.own("rope.freq_base", 10000.0)}
    kind = file.own("rope.scaling.type", "none")
    if kind != "none":
        # What is not supported is refused where the config is read.
        rope |= {"rope_type": kind, "factor": file.own("rope.scaling.factor")}
    if ROPE_FACTORS in file.names():
        rope |= _llama3(file, rope["rope_theta"])
    return rope


def _llama3(file: GgufFile, theta: float) -> HfConfig:
    """Llama 3's scaling, of which a file holds what comes of it."""
    factors = file.tensor(ROPE_FACTORS)
    # All of its models scale alike but for the factor, which the slowest pair has.
    rope = Rope(theta, "llama3", factor=float(round(float(factors.max()), 3)))
    plain = Rope(theta).frequencies(2 * len(factors))
    if not np.allclose(plain / rope.frequencies(2 * len(factors)), factors, rtol=1e-3):
        raise UserError(
            f"{file.path}: {ROPE_FACTORS} scales positions in another way than Llama 3; convert "
            "the model's Hugging Face folder instead"
        )
    return rope.to_hf()


def _llama(file: GgufFile) -> HfConfig:
    return {"rope_parameters": _rope(file), "attention_bias": False, "mlp_bias": False}


def _qwen(file: GgufFile) -> HfConfig:
    if window := file.own("attention.sliding_window"):
        raise UserError(
            f"{file.path}: {file.architecture}.attention.sliding_window is {window!r}, and not "
            "which layers slide; use the model's Hugging Face folder instead"
        )
    return {"rope_parameters": _rope(file), "use_sliding_window": False}


def _gemma(file: GgufFile, pattern: int, largest: int) -> HfConfig:
    """What Gemma 2 and 3 share.

    Args:
        file: of one of them.
        pattern: one layer in so many sees everything, where the file does not say it.
        largest: how many layers the 27B model has.
    """
    layers, width = file.own("block_count"), file.own("embedding_length")
    # As in llama.cpp: the 27B models are scaled as if their heads shared the width evenly.
    scale = width // file.own("attention.head_count") if layers == largest else _head_dim(file)
    pattern = file.own(_PATTERN, pattern)
    if isinstance(pattern, list):
        sliding = [bool(slides) for slides in pattern]
    else:
        sliding = [bool((i + 1) % pattern) for i in range(layers)]
    return {
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": scale,
        "sliding_window": file.own("attention.sliding_window"),
        "layer_types": [f"{'sliding' if slides else 'full'}_attention" for slides in sliding],
        "attn_logit_softcapping": file.own("attn_logit_softcapping"),
        "final_logit_softcapping": file.own("final_logit_softcapping"),
        "attention_bias": False,
    }


def _gemma2(file: GgufFile) -> HfConfig:
    return {**_gemma(file, pattern=2, largest=46), "rope_parameters": _rope(file)}


def _gemma3(file: GgufFile) -> HfConfig:
    local = {"rope_type": "default", "rope_theta": file.own(_LOCAL_BASE, 10000.0)}
    ropes = {"full_attention": _rope(file), "sliding_attention": local}
    return {**_gemma(file, pattern=6, largest=62), "rope_parameters": ropes}


LAYOUTS = {
    "llama": Layout("llama", "LlamaForCausalLM", _llama, interleaved=True),
    "qwen2": Layout("qwen2", "Qwen2ForCausalLM", _qwen),
    "qwen3": Layout("qwen3", "Qwen3ForCausalLM", _qwen),
    "gemma2": Layout(
        "gemma2", "Gemma2ForCausalLM", _gemma2, frozenset({*_CAPS, _PATTERN}), offset_norms=True
    ),
    "gemma3": Layout(
        "gemma3_text",
        "Gemma3ForCausalLM",
        _gemma3,
        frozenset({*_CAPS, _PATTERN, _LOCAL_BASE}),
        offset_norms=True,
    ),
}
