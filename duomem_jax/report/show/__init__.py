"""What lies at a path, for a person to read."""

from duomem_jax.report.show.pages import write_shown
from duomem_jax.report.show.things import Which, shown, stored

__all__ = ["Which", "shown", "stored", "write_shown"]
