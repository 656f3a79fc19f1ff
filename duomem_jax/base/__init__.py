"""Nothing of the field: errors, files, logs, field types, shards, progress, processes, prompts."""

from duomem_jax.base.errors import StoppedError, UserError
from duomem_jax.base.progress import Progress
from duomem_jax.base.shard import WHOLE, Shard

__all__ = [
    "WHOLE",
    "Progress",
    "Shard",
    "StoppedError",
    "UserError",
]
