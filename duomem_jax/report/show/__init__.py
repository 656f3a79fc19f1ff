"""What lies at a path, for a person to read."""

from duomem_jax.report.show.pages import write_shown
from duomem_jax.report.show.things import Which, shown

__all__ = ["Which", "shown", "write_shown"]
