"""Models that see, their processors, and pictures, damaged."""

import jax
import numpy as np
import pytest
from reading import Reader, short_and_long
from seeing import made_up, make_seeing

from duomem_jax.base.picture import open_picture
from duomem_jax.models.hf import load_config
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.vision.load import load_vision, load_vision_config
from duomem_jax.models.vision.processor import load_processor

FILES = {"x.png": {}, "x.jpg": {"quality": 60}, "x.webp": {}, "x.gif": {}, "x.bmp": {}}


@pytest.fixture(scope="session")
def seeing_folder(made):
    pytest.importorskip("torch")
    return make_seeing("internvl", made / "seeing").folder


@pytest.fixture(scope="session")
def pictures_folder(made):
    """A picture in each format, with an orientation where the format has one."""
    folder = made / "pictures"
    folder.mkdir()
    for file, options in FILES.items():
        picture = made_up().quantize(16) if file in ("x.gif", "x.png") else made_up()
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(folder / file, exif=exif, **options)
    return folder


def configs(folder):
    return load_config(folder), load_vision_config(folder)


def weights(folder):
    trees = load_pretrained(folder)[1], load_vision(folder)[1]
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(trees)]


def processor(folder):
    pixels, grid = load_processor(folder).recipe.tiles(made_up((150, 31)))
    return pixels.tobytes(), grid


def picture(file):
    return lambda folder: np.asarray(open_picture(folder / file)).tobytes()


READERS = [
    Reader("seeing: config", "seeing_folder", "config.json", "json", configs),
    Reader("seeing: weights", "seeing_folder", "model.safetensors", "binary", weights),
    Reader("seeing: processor", "seeing_folder", "preprocessor_config.json", "json", processor),
    *(
        Reader(f"picture: {file}", "pictures_folder", file, "binary", picture(file))
        for file in FILES
    ),
]


test_damaged_input_is_one_sentence, test_damaged_input_is_one_sentence_for_long = short_and_long(
    READERS
)
