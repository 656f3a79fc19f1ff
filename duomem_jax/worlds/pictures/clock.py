"""The face of a clock."""

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.pictures.canvas import COLOURS, INK, PAPER, Canvas, around
from duomem_jax.worlds.pictures.picture import Asked, Drawn

_CENTRE = (0.5, 0.5)


def clock(draw: Draw, canvas: Canvas) -> Drawn:
    """Draw a clock at a quarter of an hour."""
    hour, minute = draw.between(1, 12), draw.pick((0, 15, 30, 45))
    colour = draw.pick(list(COLOURS))
    canvas.disc(_CENTRE, 0.46, COLOURS[colour])
    canvas.disc(_CENTRE, 0.38, PAPER)
    for i in range(12):
        canvas.line(around(_CENTRE, 0.32, i / 12), around(_CENTRE, 0.36, i / 12), 0.02, INK)
    # The hour hand is between two hours, as on real clocks.
    canvas.line(_CENTRE, around(_CENTRE, 0.18, (hour + minute / 60) / 12), 0.05, INK)
    canvas.line(_CENTRE, around(_CENTRE, 0.3, minute / 60), 0.025, INK)
    questions = [
        Asked("What time does the clock show?", f"{hour}:{minute:02d}"),
        Asked("What colour is the frame of the clock?", colour, told=True),
    ]
    return Drawn(f"a {colour} clock on the wall", questions)
