"""A played game or a dialogue as one HTML page, which needs nothing but a browser."""

from duomem_jax.report.page.frames import Block, Frame, dialogue_frames, episode_frames
from duomem_jax.report.page.write import write_page

__all__ = ["Block", "Frame", "dialogue_frames", "episode_frames", "write_page"]
