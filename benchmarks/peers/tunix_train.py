"""What Tunix's two trainers share: the adapter, the inputs, one step at a time."""

from collections.abc import Callable

import jax
import qwix
from flax import nnx
from tunix.sft import utils
from tunix.sft.peft_trainer import PeftTrainer, TrainingInput
from tunix_qwen2 import Qwen2, load

LINEAR = ".*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


def with_adapter(folder: str) -> Qwen2:
    """A model of a folder with a fresh qwix adapter."""
    model = load(folder)
    lora = qwix.LoraProvider(module_path=LINEAR, rank=8, alpha=16.0)
    return qwix.apply_lora_to_model(model, lora, **model.get_model_input(), rngs=nnx.Rngs(0))


def model_input(row: TrainingInput) -> dict:
    """What a model takes; no token is padding."""
    real = row.input_tokens >= 0
    return {
        "input_tokens": row.input_tokens,
        "input_mask": row.input_mask,
        "positions": utils.build_positions_from_mask(real),
        "attention_mask": utils.make_causal_attn_mask(real),
    }


def one_step(trainer: PeftTrainer, batch: TrainingInput) -> Callable[[], float]:
    """A function that makes one update and returns its loss."""
    for part in (trainer.model, trainer.optimizer):  # else the second step compiles again
        nnx.update(part, jax.device_put(nnx.state(part), jax.devices()[0]))
    trainer.with_gen_model_input_fn(model_input)
    trainer.is_managed_externally = True  # so `train` can be called again

    def step() -> float:
        trainer.train([batch])
        return float(trainer._prev_buffered_train_metrics.loss)  # the logger has it a step later

    return step
