"""Put a tiny model that sees into the package: bfloat16 weights and a model card."""

import json
from pathlib import Path

from duomem_jax.base.io import atomic_dir, atomic_write_text
from duomem_jax.lora.tree import count
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.shipped import model_folder
from duomem_jax.models.vision.load import load_vision
from duomem_jax.tiny.seer.train import save_trained

NAME = "tiny-seer"
CARD = """\
---
license: apache-2.0
library_name: duomem_jax
---

# {name}

A small model that sees: tiny-listener behind a tower and a projector, in SmolVLM's form. A picture
is 128 x 128 pixels and takes {tokens} tokens. It has seen shapes, signs, clocks, charts and notes,
and short questions about them, beside the lessons of tiny-listener; no memory and no prompt of an
operation.

## Data

Rendered pictures (`duomem_jax.worlds.pictures`): {pictures:,}, seed {seed}, each with up to six
questions, or read aloud; and in each step a row of tiny-listener's lessons on another generated
dialogue. The answers alone carry loss.

## Training

{parameters:,} parameters, {eyes:,} of them of tower and projector. {steps:,} steps of {rows}
pictures that no step before had shown, {rule}, peak learning rate {rate:g}, {schedule} decay; the
decoder learnt, too. Again:

```sh
python -m duomem_jax.tiny.seer runs/seer --words --ship
```

## Scores

Pictures of a stream that no training picture is from, each question alone:

{scores}
"""


def ship(run: Path, scores: str) -> Path:
    """Write the package's folder from the output folder of a training.

    Args:
        run: the folder.
        scores: table of what it sees.

    Raises:
        UserError: the folder is still there; git has it, so it may be deleted first.
    """
    # From the run's own file, so that the card says what was done and not what is configured now.
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    trained, rule = run / "model", config["optimizer"]
    decoder, sight = load_pretrained(trained, "float32"), load_vision(trained)
    parts = count(decoder[1]), count(sight[1])
    card = CARD.format(
        name=NAME,
        tokens=sight[0].tile_tokens,
        pictures=config["steps"] * config["global_batch"],
        seed=config["seed"],
        parameters=sum(parts),
        eyes=parts[1],
        steps=config["steps"],
        rows=config["global_batch"],
        rule=rule["name"],
        rate=rule["learning_rate"],
        schedule=rule["schedule"],
        scores=scores,
    )
    target = model_folder(NAME)
    with atomic_dir(target) as tmp:
        # Half the bytes in the package.
        save_trained(tmp, trained, decoder, sight, "bfloat16")
        atomic_write_text(tmp / "README.md", card)
    return target
