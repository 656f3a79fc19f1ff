"""TRL's SFTTrainer with a PEFT adapter, its gradient checkpointing turned off."""

import tempfile
import time

import datasets
import peft
import torch
from measure import arguments, print_row, sequence
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

folder, length, steps, share, _ = arguments()
torch.set_num_threads(2)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
tokens, learnt = sequence(length, share, model.config.vocab_size)
row = {"input_ids": tokens[0].tolist(), "completion_mask": learnt[0].astype(int).tolist()}
stamps: list[tuple[float, float]] = []
losses: list[float] = []


class Clock(TrainerCallback):
    """Times and losses of the steps."""

    def on_step_end(self, *args, **kwargs):
        """Note the time."""
        stamps.append((time.process_time(), time.perf_counter()))

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Note the loss."""
        if logs and "loss" in logs:
            losses.append(logs["loss"])


words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>"))
with tempfile.TemporaryDirectory() as out:
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
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
        ),
        train_dataset=datasets.Dataset.from_list([row] * (steps + 1)),
        processing_class=PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", eos_token="<eos>"
        ),
        peft_config=peft.LoraConfig(
            r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[Clock()],
    )
    trainer.train()
cpu, wall = (b - a for a, b in zip(stamps[0], stamps[-1], strict=True))
print_row(cpu / steps, wall / steps, losses[0], losses[-1])
