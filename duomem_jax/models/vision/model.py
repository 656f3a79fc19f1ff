"""The facade over tower and projector: trees in, arrays out, like `models.model.Model`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.models.boxes import axes_of, fresh, shapes_of
from duomem_jax.models.config import DTYPES
from duomem_jax.models.trees import LogicalAxes, Params, Shapes
from duomem_jax.models.vision.config import VisionConfig
from duomem_jax.models.vision.projector import Projector
from duomem_jax.models.vision.tower import Tower


class _Sight(nn.Module):
    """Tower, then projector."""

    config: VisionConfig

    @nn.compact
    def __call__(self, tiles_Bhwc: jax.Array) -> jax.Array:
        """features_BTD."""
        x_BTD = Tower(self.config.tower, name="tower")(tiles_Bhwc)
        return Projector(self.config.projector, name="projector")(x_BTD)


@dataclass(frozen=True)
class VisionModel:
    """Pure functions of (params, tiles); params are a plain dict of arrays (`models.trees`).

    Attributes:
        config: shapes of tower and projector.
    """

    config: VisionConfig

    @cached_property
    def _module(self) -> _Sight:
        return _Sight(self.config)

    def _boxed(self, key: jax.Array) -> Mapping[str, Any]:
        """Fresh variables, each in a box that knows the logical names of its axes."""
        size = self.config.tower.image_size
        return fresh(self._module, {"params": key}, jnp.zeros((1, size, size, 3)))

    def _boxed_shapes(self) -> Mapping[str, Any]:
        return jax.eval_shape(lambda: self._boxed(jax.random.key(0)))

    def init(self, key: jax.Array) -> Params:
        """Fresh float32 parameters: {"tower": ..., "projector": ...}."""
        return nn.unbox(self._boxed(key))["params"]

    def logical_axes(self) -> LogicalAxes:
        """{"params": ...}: per leaf a PartitionSpec of logical axis names."""
        return axes_of(self._boxed_shapes())

    def shapes(self) -> Shapes:
        """{"params": ...}: a tree of ShapeDtypeStruct."""
        return shapes_of(self._boxed_shapes())

    def features(self, params: Params, tiles_Bhwc: jax.Array) -> jax.Array:
        """features_BTD: what stands in the decoder for each tile, `tile_tokens` vectors of it.

        Args:
            params: as `init` or `vision.load.load_vision` gives them.
            tiles_Bhwc: normalised pixels, [B, image_size, image_size, 3] (`vision.recipe`).
        """
        features_BTD: Any = self._module.apply(
            {"params": params}, tiles_Bhwc.astype(DTYPES[self.config.dtype])
        )
        return features_BTD
