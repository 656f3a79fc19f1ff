"""Rotary positions: frequencies as each family scales them, tables, rotation."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.base.errors import UserError

KINDS = ("default", "linear", "llama3")


@dataclass(frozen=True)
class Rope:
    """How fast each pair of a head rotates with the position.

    "linear" divides every frequency by `factor`; "llama3" only the slow ones, with a smooth
    passage between wavelengths `original_max_len / high_freq_factor` and `.. / low_freq_factor`
    (Llama 3.1's rope scaling, transformers `_compute_llama3_parameters`).
    """

    theta: float = 1e6
    kind: str = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_len: int = 8192

    @classmethod
    def from_hf(cls, rope: dict[str, Any], field: str) -> "Rope":
        """From `rope_parameters` of a Hugging Face config; `field` is its name in messages."""
        kind = rope.get("rope_type", "default")
        if kind not in KINDS:
            raise UserError(
                f"config.json: field {field}.rope_type is {kind!r}; supported: {', '.join(KINDS)}"
            )
        if rope.get("partial_rotary_factor", 1.0) != 1.0:
            raise UserError(
                f"config.json: field {field}.partial_rotary_factor is "
                f"{rope['partial_rotary_factor']}; supported: 1.0"
            )
        # Theirs by ours; a kind has only some of them.
        names = {
            "factor": "factor",
            "low_freq_factor": "low_freq_factor",
            "high_freq_factor": "high_freq_factor",
            "original_max_len": "original_max_position_embeddings",
        }
        given = {ours: rope[hf] for ours, hf in names.items() if hf in rope}
        # A default rotation has no factor, even where its config names one.
        given = {"theta": rope.get("rope_theta")} | (given if kind != "default" else {})
        for ours, value in given.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value < math.inf:
                raise UserError(
                    f"config.json: field {field}.{names.get(ours, 'rope_theta')} is {value!r}; a "
                    "number above 0 is needed"
                )
        made = cls(**given | {"theta": float(given["theta"]), "kind": kind})
        if made.low_freq_factor >= made.high_freq_factor:
            raise UserError(
                f"config.json: field {field}.low_freq_factor is {made.low_freq_factor}, not below "
                f"high_freq_factor ({made.high_freq_factor}); correct the file"
            )
        return made

    def to_hf(self) -> dict[str, Any]:
        """What `from_hf` reads."""
        out: dict[str, Any] = {"rope_type": self.kind, "rope_theta": self.theta}
        if self.kind != "default":
            out["factor"] = self.factor
        if self.kind == "llama3":
            out |= {
                "low_freq_factor": self.low_freq_factor,
                "high_freq_factor": self.high_freq_factor,
                "original_max_position_embeddings": self.original_max_len,
            }
        return out

    def frequencies(self, head_dim: int) -> np.ndarray:
        """float32 [H/2], radians a position."""
        freq = self.theta ** (-np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)
        if self.kind == "default":
            return freq.astype(np.float32)
        if self.kind == "linear":
            return (freq / self.factor).astype(np.float32)
        low, high = self.low_freq_factor, self.high_freq_factor
        turns = self.original_max_len * freq / (2 * math.pi)  # within the original context
        # 1 for pairs that turn often in the original context, which stay; 0 for slow ones, divided.
        keep = np.clip((turns - low) / (high - low), 0, 1)
        return (keep * freq + (1 - keep) * freq / self.factor).astype(np.float32)


class Rotation(NamedTuple):
    """The rotary angles of some tokens.

    Attributes:
        cos: float32 [B,T,1,H/2].
        sin: float32 [B,T,1,H/2].
    """

    cos: jax.Array
    sin: jax.Array


def rope_tables(positions_BT: jax.Array, rope: Rope, head_dim: int) -> Rotation:
    """The rotation of heads of width `head_dim` at `positions_BT`."""
    # float32, as bfloat16 holds every whole number only up to 256.
    angle = positions_BT[:, :, None, None].astype(jnp.float32) * rope.frequencies(head_dim)
    return Rotation(jnp.cos(angle), jnp.sin(angle))


def rotate(x_BTNH: jax.Array, rotation: Rotation) -> jax.Array:
    """Rotate halves as Hugging Face does: pairs are (h, h + H/2), not neighbours."""
    a, b = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
    cos, sin = rotation
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1).astype(x_BTNH.dtype)
