"""What a picture shows is what its answers say: looked at without the code that drew it."""

from collections import defaultdict

import numpy as np
import pytest
from scipy import ndimage

from duomem_jax.worlds.pictures import KINDS, render
from duomem_jax.worlds.pictures.canvas import COLOURS, INK, PAPER
from duomem_jax.worlds.pictures.shapes import NUMBERS


@pytest.fixture(scope="module")
def pictures():
    """Some of each kind."""
    found = defaultdict(list)
    for i in range(160):
        picture = render(0, i)
        found[picture.kind].append(picture)
    return found


def answers(picture):
    return {asked.text: asked.answer for asked in picture.asked}


def pixels(picture, colour):
    """Where a colour is, but for smoothed edges."""
    image_HWC = np.asarray(picture.image, np.int32)
    return np.abs(image_HWC - colour).sum(-1) < 30


def test_every_kind_is_drawn_and_a_picture_depends_on_its_number_alone(pictures):
    assert set(pictures) == set(KINDS)
    assert min(map(len, pictures.values())) > 20
    one, again, other = render(0, 7), render(0, 7), render(0, 7, held_out=True)
    assert one == again
    assert one.image.tobytes() != other.image.tobytes()
    small, large = render(0, 7, size=64), render(0, 7, size=256)
    assert (small.caption, small.asked) == (large.caption, large.asked)
    assert (small.image.size, large.image.size) == ((64, 64), (256, 256))


def test_a_caption_tells_what_is_said_to_be_told(pictures):
    told = [(p, asked) for some in pictures.values() for p in some for asked in p.asked]
    for picture, asked in told:
        assert not asked.told or asked.answer in picture.caption
    share = np.mean([asked.told for _, asked in told])
    assert 0.1 < share < 0.4


def test_bars_are_as_high_as_is_said(pictures):
    for picture in pictures["chart"]:
        areas = {name: pixels(picture, colour).sum() for name, colour in COLOURS.items()}
        # The floor is of ink, which is nearly black; a bar of its width alone has more pixels.
        bars = {name: area for name, area in areas.items() if area > 100}
        said = answers(picture)
        assert NUMBERS[len(bars)] == said["How many bars are there?"]
        assert max(bars, key=bars.get) == said["Which bar is the tallest?"]
        assert min(bars, key=bars.get) == said["Which bar is the shortest?"]
        first = min(bars, key=lambda name: np.argwhere(pixels(picture, COLOURS[name]))[:, 1].min())
        assert first == said["Which bar is the first from the left?"]


def test_shapes_are_as_many_and_lie_where_is_said(pictures):
    for picture in pictures["shapes"]:
        said = answers(picture)
        blobs, _ = ndimage.label(~pixels(picture, PAPER), np.ones((3, 3)))
        # The tip of a star is apart from it where the line between them is smoothed away.
        number = (np.bincount(blobs.ravel())[1:] > 50).sum()
        assert NUMBERS[number] == said["How many shapes are there?"]
        places = {}
        for text, name in said.items():
            if text.startswith("Which shape is "):
                colour = COLOURS[text.removeprefix("Which shape is ").rstrip("?")]
                blobs, count = ndimage.label(ndimage.binary_opening(pixels(picture, colour)))
                assert count == 1
                places[name] = ndimage.center_of_mass(blobs)
                # A polygon with more corners fills more of its circle.
                area = (blobs > 0).mean() / (np.pi * 0.13**2)
                low, high = {
                    "star": (0.2, 0.42),
                    "triangle": (0.3, 0.5),
                    "square": (0.55, 0.7),
                    "pentagon": (0.65, 0.82),
                    "circle": (0.85, 1.05),
                }[name]
                assert low < area < high, (name, area)
        for text, side in said.items():
            if text.startswith("Is the "):
                words = text.rstrip("?").split()
                one, other = words[2], words[-1]
                if one in places and other in places:
                    (y, x), (y2, x2) = places[one], places[other]
                    seen = {"left": x < x2, "right": x > x2, "above": y < y2, "below": y > y2}
                    assert seen[side], text


def test_hands_point_where_the_clock_is_said_to_stand(pictures):
    for picture in pictures["clock"]:
        dark, size = pixels(picture, INK), picture.image.width
        ends = {}
        for name, radius in (("minute", 0.27), ("hour", 0.12)):
            turns = np.linspace(0, 1, 240, endpoint=False)
            x = np.round(size * (0.5 + radius * np.sin(2 * np.pi * turns))).astype(int)
            y = np.round(size * (0.5 - radius * np.cos(2 * np.pi * turns))).astype(int)
            ends[name] = turns[dark[y, x]]
        hour, minute = map(int, answers(picture)["What time does the clock show?"].split(":"))

        def near(turns, turn):
            return np.abs((turns - turn + 0.5) % 1 - 0.5).min(initial=1) < 0.02

        assert near(ends["minute"], minute / 60)
        assert near(ends["hour"], (hour + minute / 60) / 12)


def test_what_is_written_is_what_is_asked(pictures):
    for kind in ("chart", "clock", "shapes"):
        assert not any(picture.written for picture in pictures[kind])
    for picture in pictures["sign"]:
        assert picture.written == answers(picture)["What does the sign say?"]
    for picture in pictures["note"]:
        said, lines = answers(picture), picture.written.split("\n")
        assert NUMBERS[len(lines)] == said["How many lines has the note?"]
        assert lines[0].split(": ")[0] == said["Who is first on the note?"]
        for name, word in (line.split(": ") for line in lines):
            assert said[f"What is beside {name}?"] == word


def test_signs_differ_by_their_words(pictures):
    boxes = defaultdict(list)
    for picture in pictures["sign"]:
        said = answers(picture)
        assert pixels(picture, COLOURS[said["What colour is the sign?"]]).mean() > 0.15
        box = np.asarray(picture.image.convert("L"), np.float32)[26:79, 8:120]
        letters = box > box.min() + 0.7 * np.ptp(box)
        boxes[said["What does the sign say?"]].append(letters)
    for word, some in boxes.items():
        for other, others in boxes.items():
            alike = np.mean(some[0] == others[-1])
            assert (alike > 0.98) == (word == other), (word, other, alike)
