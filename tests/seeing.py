"""Tiny random models that see, their processors and pictures: what ours are compared with."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from families import SHAPE
from PIL import Image

from duomem_jax.models.families import SEEING
from duomem_jax.models.vision.config import ProjectorConfig, TowerConfig, VisionConfig
from duomem_jax.models.vision.processor import Processor

SIDE, PATCH = 24, 4  # pixels: 6 by 6 patches
IMAGE = 90  # id of picture tokens

TEXT = SHAPE | {"num_hidden_layers": 2}
TOWER = {
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIDE,
    "patch_size": PATCH,
}
IDEFICS = {
    "text_config": TEXT | {"model_type": "llama", "num_key_value_heads": 2},
    "vision_config": TOWER,
    "scale_factor": 3,  # 4 tokens a tile
    "image_token_id": IMAGE,
}
INTERN = {
    "text_config": TEXT | {"model_type": "qwen2"},
    "vision_config": TOWER | {"attention_bias": True},
    "downsample_ratio": 0.5,  # 9 tokens a tile
    "image_token_id": IMAGE,
    "image_seq_length": 9,
}
# What the models of a name have that others have not.
MODELS = {
    "smolvlm": IDEFICS | {"scale_factor": 2},
    "idefics3-tied": IDEFICS | {"tie_word_embeddings": True},
    "internvl": INTERN,
    # The switches of its tower that the small ones leave as they are; and another decoder.
    "internvl-other": INTERN
    | {
        "text_config": TEXT | {"model_type": "qwen3", "head_dim": 16},
        "vision_config": TOWER | {"norm_type": "rms_norm", "use_mean_pooling": False},
        "tie_word_embeddings": False,
        "projector_hidden_act": "gelu_pytorch_tanh",
    },
}
# As the hub's folders have it, but for the sizes.
IDEFICS_PICTURES = {
    "image_processor_type": "Idefics3ImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"longest_edge": 4 * SIDE},
    "resample": 1,
    "do_image_splitting": True,
    "max_image_size": {"longest_edge": SIDE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "do_pad": True,
}
INTERN_PICTURES = {
    "image_processor_type": "GotOcr2ImageProcessorFast",
    "crop_size": None,
    "crop_to_patches": False,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "max_patches": 12,
    "min_patches": 1,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"height": SIDE, "width": SIDE},
}


class Reference(NamedTuple):
    """A model of transformers, and the folder it was saved to."""

    folder: Path
    model: Any


def pictures_of(name: str) -> dict[str, Any]:
    return INTERN_PICTURES if name.startswith("internvl") else IDEFICS_PICTURES


def make_seeing(name: str, folder: Path) -> Reference:
    """A torch model of `MODELS`, saved in `folder` with the config of its image processor."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForImageTextToText

    torch.manual_seed(0)
    config = CONFIG_MAPPING[name.split("-")[0]](**MODELS[name])
    for part in (config.text_config, config.vision_config):
        part.initializer_range = 0.2
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager").eval()
    for parameter, p in model.named_parameters():
        # Fresh, these hide that they are lost; the others of InternVL's tower are all zero.
        if p.ndim == 1 or "embeddings" in parameter or "lambda" in parameter:
            p.data += 0.3 * torch.randn_like(p)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures_of(name)))
    return Reference(folder, model)


def reference_logits(
    reference: Reference, tokens_T: np.ndarray, tiles_Bhwc: np.ndarray
) -> np.ndarray:
    """logits_TV of transformers for one row with the tiles of all its pictures."""
    import torch

    with torch.no_grad():
        return reference.model(**inputs(reference, tokens_T, tiles_Bhwc)).logits[0].numpy()


def inputs(reference: Reference, tokens_T: np.ndarray, tiles_Bhwc: np.ndarray) -> dict[str, Any]:
    """One row and its tiles as transformers wants them."""
    import torch

    pixels = torch.tensor(np.ascontiguousarray(tiles_Bhwc.transpose(0, 3, 1, 2)))
    # Idefics3 has the tiles of each row apart, InternVL those of all rows together.
    if reference.model.config.model_type != "internvl":
        pixels = pixels[None]
    tokens = torch.tensor(np.asarray(tokens_T))[None].long()
    return {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "pixel_values": pixels,
    }


def made_up(size=(61, 43), mode="RGB"):
    """A picture in which no two regions are alike, partly transparent where the mode can be."""
    rng = np.random.default_rng(sum(size))
    width, height = size
    slope = np.linspace(0, 255, width)[None, :, None] + np.linspace(0, 90, height)[:, None, None]
    pixels = (slope + rng.integers(0, 120, (height, width, 4))) % 256
    picture = Image.fromarray(pixels.astype(np.uint8), "RGBA")
    # A palette made of colours that are transparent in part would be one in no file.
    return (picture.convert("RGB") if mode == "P" else picture).convert(mode)


def processor_of(name, *, split):
    """Ours, and that of transformers for the same fields."""
    fields = pictures_of(name)
    if name == "internvl":
        from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import (
            GotOcr2ImageProcessorPil as Reference,
        )

        theirs = Reference(**fields | {"crop_to_patches": split})
    else:
        from transformers.models.smolvlm.image_processing_pil_smolvlm import (
            SmolVLMImageProcessorPil as Reference,
        )

        fields = fields | {"do_image_splitting": split}
        theirs = Reference(**fields, return_row_col_info=True)
    tower = TowerConfig(SIDE, 4, 8, 1, 2, 8)
    config = VisionConfig(name, tower, ProjectorConfig(2, 8), IMAGE)
    return Processor(config, replace(SEEING[name].recipe(fields), split=split)), theirs


# As the hub's folders of these models have them.
SMOLVLM_CHAT = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
INTERN_CHAT = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{'<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}"
)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n:.,?!"
CELLS = [f"<row_{r}_col_{c}>" for r in range(1, 5) for c in range(1, 5)]
SPECIAL = {
    "smolvlm": [
        *(*CELLS, "<fake_token_around_image>", "<global-img>", "<|im_start|>"),
        *("<end_of_utterance>", "<|im_end|>", "<image>"),
    ],
    "internvl": [
        *(*CELLS, "<img>", "</img>", "<|im_start|>", "<video>", "<|im_end|>", "<IMG_CONTEXT>")
    ],
}


def letters_tokenizer(name):
    """A tokenizer of single letters with the special tokens and the chat template of a model.

    All of its ids are the tiny models' own, and picture tokens are `IMAGE`.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = SPECIAL[name]
    first = IMAGE + 1 - len(special)
    words = {letter: i for i, letter in enumerate(LETTERS)}
    words |= {token: first + i for i, token in enumerate(special)}
    assert len(LETTERS) <= first
    words |= {f"unused {i}": i for i in range(len(LETTERS), first)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(special)
    named = {}
    if name == "internvl":
        named = {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        }
    end = "<|im_end|>" if name == "internvl" else "<end_of_utterance>"
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=".", extra_special_tokens=named
    )
    fast.chat_template = INTERN_CHAT if name == "internvl" else SMOLVLM_CHAT
    return fast


def reference_processor(name, theirs, tokenizer, tile_tokens):
    """Transformers' processor of a whole model, around that of its pictures."""
    from transformers.models.idefics3.processing_idefics3 import Idefics3Processor
    from transformers.models.internvl.processing_internvl import InternVLProcessor

    # SmolVLM's class wants one more package for films, and does the same with pictures.
    if name != "internvl":
        template = tokenizer.chat_template
        return Idefics3Processor(theirs, tokenizer, tile_tokens, chat_template=template)

    # Its class wants another for films, which needs one more package.
    class Whole(InternVLProcessor):
        def check_argument_for_proper_class(self, *_):
            pass

    return Whole(theirs, tokenizer, None, tile_tokens, chat_template=tokenizer.chat_template)
