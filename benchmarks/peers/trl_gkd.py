"""TRL's GKDTrainer on given text, beta 0 (forward KL), with a PEFT adapter; option: the teacher."""

import sys
import tempfile
import time

import datasets
import peft
import torch
from measure import arguments, print_row, sequence
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl.experimental.gkd import GKDConfig, GKDTrainer

folder, length, steps, share, _ = arguments()
torch.set_num_threads(2)
model, teacher = (
    AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    for name in (folder, sys.argv[6])
)
tokens, learnt = sequence(length, share, model.config.vocab_size)
ids = torch.tensor(tokens)
batch = {
    "input_ids": ids,
    "attention_mask": torch.ones_like(ids),
    "labels": torch.where(torch.tensor(learnt), ids, -100),
}
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
    trainer = GKDTrainer(
        model=model,
        teacher_model=teacher,
        args=GKDConfig(
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
            lmbda=0.0,
            beta=0.0,
            temperature=1.0,
        ),
        data_collator=lambda rows: dict(batch),
        train_dataset=datasets.Dataset.from_list([{"number": i} for i in range(steps + 1)]),
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
