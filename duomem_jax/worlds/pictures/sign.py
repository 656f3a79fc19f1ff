"""A sign with a word on it."""

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.pictures.canvas import COLOURS, PAPER, Canvas
from duomem_jax.worlds.pictures.picture import Asked, Drawn

WORDS = (
    *("bakery", "bank", "bar", "bikes", "books", "cafe", "cinema", "closed", "coffee", "danger"),
    *("exit", "flowers", "free", "fish", "garage", "hotel", "ice", "library", "market", "museum"),
    *("music", "open", "park", "pharmacy", "pizza", "police", "post", "pull", "push", "sale"),
    *("school", "shoes", "slow", "sold", "stop", "taxi", "tea", "theatre", "toys", "zoo"),
)


def sign(draw: Draw, canvas: Canvas) -> Drawn:
    """Draw a sign on its post."""
    word, colour = draw.pick(WORDS), draw.pick(list(COLOURS))
    canvas.line((0.5, 0.5), (0.5, 0.95), 0.04, COLOURS["brown"])
    canvas.box((0.06, 0.2), (0.94, 0.62), COLOURS[colour])
    canvas.text((0.5, 0.41), word.upper(), 0.74, PAPER)
    # Captions name what a sign is for more often than they read it.
    reads = draw.chance(0.2)
    caption = f'a sign that says "{word}"' if reads else f"a {colour} sign in the street"
    questions = [
        Asked("What does the sign say?", word, reads),
        Asked("What colour is the sign?", colour, not reads),
    ]
    return Drawn(caption, questions, word)
