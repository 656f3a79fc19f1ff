"""Tables with intervals and pictures from result rows."""

from duomem_jax.report.write import write_report

__all__ = ["write_report"]
