"""Pictures as tiles and in prompts, against the processors of transformers."""

import json

import numpy as np
import pytest
from PIL import Image
from seeing import (
    SIDE,
    letters_tokenizer,
    made_up,
    pictures_of,
    processor_of,
    reference_processor,
)

from duomem_jax.base.errors import UserError
from duomem_jax.base.picture import open_picture, to_rgb
from duomem_jax.models.families import SEEING
from duomem_jax.models.vision.config import ProjectorConfig, TowerConfig, VisionConfig
from duomem_jax.models.vision.tiles import Grid, MatchedTiles

NAMES = ("smolvlm", "idefics3", "internvl")
# Smaller and larger than a tile, odd, nearly square, and beyond every grid.
SIZES = [(1, 1), (7, 5), (24, 24), (25, 24), (97, 96), (61, 143), (150, 31), (3, 500), (997, 2)]
MODES = ("RGB", "L", "1", "LA", "RGBA", "P", "CMYK", "YCbCr")


def reference_tiles(theirs, picture):
    """(tiles, height, width and colours last; rows and columns, where these are told)."""
    found = theirs(picture, return_tensors="np")
    pixels = np.asarray(found["pixel_values"])
    pixels = pixels.reshape(-1, *pixels.shape[-3:])
    grid = (found["rows"][0][0], found["cols"][0][0]) if "rows" in found else None
    return pixels.transpose(0, 2, 3, 1), grid


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_tiles_equal_those_of_transformers(name, split):
    ours, theirs = processor_of(name, split=split)
    for size in SIZES:
        pixels, grid = ours.recipe.tiles(made_up(size))
        want, where = reference_tiles(theirs, made_up(size))
        np.testing.assert_array_equal(pixels, want)
        assert pixels.dtype == np.float32
        assert len(pixels) == grid.tiles
        # Theirs calls a single tile no grid.
        assert where in (None, tuple(grid) if grid.tiles > 1 else (0, 0))
        assert split or grid.tiles == 1


def test_grids_equal_those_of_transformers_for_all_sorts_of_sizes():
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

    rng = np.random.default_rng(0)
    for _ in range(2000):
        width, height = (int(n) for n in 2 ** rng.uniform(0, 12, 2))
        least, most = sorted(int(n) for n in rng.integers(1, 14, 2))
        rows, columns = MatchedTiles(least, most).grid(width, height, 448)
        want = get_optimal_tiled_canvas((height, width), (448, 448), least, most)
        assert (columns, rows) == want


@pytest.mark.parametrize("name", ["smolvlm", "internvl"])
def test_every_mode_equals_transformers(name, tmp_path):
    ours, theirs = processor_of(name, split=True)
    transparent = made_up(mode="P")
    transparent.info["transparency"] = 3
    for picture in [*(made_up(mode=mode) for mode in MODES), transparent]:
        pixels = ours.recipe.tiles(to_rgb(picture)).pixels_Bhwc
        np.testing.assert_array_equal(pixels, reference_tiles(theirs, picture)[0])
    # Files give back the same modes.
    for mode in ("L", "LA", "RGBA", "P", "1"):
        made_up(mode=mode).save(tmp_path / "x.png")
        with Image.open(tmp_path / "x.png") as again:
            assert again.mode == mode
        read = open_picture(tmp_path / "x.png")
        np.testing.assert_array_equal(read, to_rgb(made_up(mode=mode)))


def test_grey_of_sixteen_bits_is_that_of_eight(tmp_path):
    # The reference cuts off at 255, which leaves a white picture: it is not followed here.
    grey = made_up(mode="L")
    deep = np.asarray(grey).astype(np.uint16) << 8 | 77
    Image.fromarray(deep).save(tmp_path / "deep.png")
    with Image.open(tmp_path / "deep.png") as picture:
        assert picture.mode.startswith("I;16")
    np.testing.assert_array_equal(open_picture(tmp_path / "deep.png"), grey.convert("RGB"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_equals_transformers(orientation, tmp_path):
    from transformers.image_utils import load_image

    exif = Image.Exif()
    exif[0x0112] = orientation
    for file in ("x.jpg", "x.png", "x.webp"):
        made_up().save(tmp_path / file, exif=exif)
        got = open_picture(tmp_path / file)
        np.testing.assert_array_equal(got, load_image(str(tmp_path / file)))
        assert got.size == ((61, 43) if orientation < 5 else (43, 61))


def test_a_moving_picture_is_its_first(tmp_path):
    pictures = [made_up(mode="P"), made_up().rotate(180).convert("P")]
    pictures[0].save(tmp_path / "x.gif", save_all=True, append_images=pictures[1:])
    np.testing.assert_array_equal(open_picture(tmp_path / "x.gif"), pictures[0].convert("RGB"))


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("name", ["idefics3", "internvl"])
def test_prompts_and_pixels_equal_those_of_the_processor_of_the_model(name, split):
    ours, theirs = processor_of(name, split=split)
    tokenizer = letters_tokenizer("internvl" if name == "internvl" else "smolvlm")
    tokens = ours.config.tile_tokens
    whole = reference_processor(name, theirs, tokenizer, tokens)
    options = {"crop_to_patches": split} if name == "internvl" else {}
    pictures = [made_up((150, 31)), made_up((20, 20)), made_up((61, 143))]
    word = ours.placeholder
    prompt = f"User:{word}one{word}{word}\n\nthree?\nAssistant:"
    want = whole(images=pictures, text=prompt, return_tensors="np", **options)
    made = [ours.recipe.tiles(picture) for picture in pictures]
    ids = tokenizer(ours.expand(prompt, [tiles.grid for tiles in made]))["input_ids"]
    assert ids == np.asarray(want["input_ids"])[0].tolist()
    pixels = np.concatenate([tiles.pixels_Bhwc for tiles in made])
    found = np.asarray(want["pixel_values"]).reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(pixels, found)
    # As many picture tokens as features.
    assert ids.count(tokenizer.convert_tokens_to_ids(word)) == len(pixels) * tokens


def test_words_around_tiles_are_those_of_smolvlm():
    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    ours, _ = processor_of("smolvlm", split=True)
    marks = "<fake_token_around_image>", "<image>", "<global-img>"
    for grid in (Grid(1, 1), Grid(1, 4), Grid(3, 2)):
        rows, columns = grid if grid.tiles > 1 else (0, 0)
        want = get_image_prompt_string(rows, columns, ours.config.tile_tokens, *marks)
        assert ours.expand("<image>", [grid]) == want


def test_the_real_sizes_give_the_real_numbers_of_tokens():
    fields = pictures_of("smolvlm") | {
        "size": {"longest_edge": 2048},
        "max_image_size": {"longest_edge": 512},
    }
    config = VisionConfig(
        "smolvlm", TowerConfig(512, 16, 768, 12, 12, 3072), ProjectorConfig(4, 576), 49190
    )
    assert config.tile_tokens == 64
    tiles = SEEING["smolvlm"].recipe(json.loads(json.dumps(fields))).tiles(made_up((640, 480)))
    assert tiles.grid == (3, 4)
    assert tiles.pixels_Bhwc.shape == (13, 512, 512, 3)
    tower = TowerConfig(448, 14, 1024, 24, 16, 4096, class_token=True)
    assert VisionConfig("internvl", tower, ProjectorConfig(2, 896), 151667).tile_tokens == 256


def test_pictures_and_prompts_that_do_not_fit_are_refused():
    ours, _ = processor_of("idefics3", split=False)
    grid = ours.recipe.tiles(made_up()).grid
    for prompt, grids in (("no picture", [grid]), ("<image> and <image>", [grid]), ("<image>", [])):
        with pytest.raises(UserError, match=r"prompt: has \d times <image> and \d pictures; give"):
            ours.expand(prompt, grids)
