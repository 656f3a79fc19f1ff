"""What TRL's two trainers share: settings, a stand-in tokenizer, a clock."""

import tempfile
import time
from collections.abc import Callable
from typing import Any

import peft
from measure import print_row
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, TrainerCallback

LORA = peft.LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
WORDS = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>"))


class Clock(TrainerCallback):
    """Times and losses of the steps."""

    def __init__(self):
        """Nothing yet."""
        self.stamps: list[tuple[float, float]] = []
        self.losses: list[float] = []

    def on_step_end(self, *args, **kwargs):
        """Note the time."""
        self.stamps.append((time.process_time(), time.perf_counter()))

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Note the loss."""
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


def run(make_trainer: Callable[..., Any], settings: type, length: int, steps: int, **more: Any):
    """Train `steps` steps after a first one, and print a row.

    Args:
        make_trainer: called with what every trainer of TRL takes.
        settings: its class of settings.
        length: tokens of a row.
        steps: timed.
        more: settings.
    """
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        args = settings(
            out,
            per_device_train_batch_size=1,
            max_steps=steps + 1,
            max_length=length,
            learning_rate=1e-4,
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            **more,
        )
        words = PreTrainedTokenizerFast(
            tokenizer_object=WORDS, pad_token="<pad>", eos_token="<eos>"
        )
        make_trainer(args=args, processing_class=words, peft_config=LORA, callbacks=[clock]).train()
    first, last = clock.stamps[0], clock.stamps[-1]
    cpu, wall = (b - a for a, b in zip(first, last, strict=True))
    print_row(cpu / steps, wall / steps, clock.losses[0], clock.losses[-1])
