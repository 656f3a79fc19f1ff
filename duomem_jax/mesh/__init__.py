"""The devices of a run: axes, shardings, hosts, chips, compiled programs kept."""

from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.hosts import joined
from duomem_jax.mesh.sharding import make_mesh, model_shardings, put_batch, use_mesh

__all__ = [
    "MeshConfig",
    "joined",
    "make_mesh",
    "model_shardings",
    "put_batch",
    "use_mesh",
]
