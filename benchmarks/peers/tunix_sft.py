"""Tunix's PeftTrainer with a qwix adapter."""

import numpy as np
import optax
from measure import arguments, report, sequence
from tunix.sft.peft_trainer import PeftTrainer, TrainingConfig, TrainingInput
from tunix_train import one_step, with_adapter

folder, length, steps, share, _ = arguments()
model = with_adapter(folder)
tokens, learnt = sequence(length, share, model.config.vocab_size)
batch = TrainingInput(input_tokens=tokens.astype(np.int32), input_mask=learnt)
trainer = PeftTrainer(model, optax.adamw(1e-4), TrainingConfig(eval_every_n_steps=1_000_000))
report(one_step(trainer, batch), steps)
