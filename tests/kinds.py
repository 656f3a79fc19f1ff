"""Small tokenizers of the kinds that real models have, trained on a few lines."""

import json

CORPUS = [
    "You are in the middle of a room. Looking quickly around you, you see a bed 1, a desk 1.",
    "Thought: I should look in the drawer first.\nAction: go to drawer 1",
    "Observation: On the drawer 1, you see a pen 1, and a book 2.\nuser\nassistant\nmodel\n",
    "élan, naïve Übergrößen; 東京の家 🙂🙂",
] * 2
BYTE_TOKENS = [f"<0x{b:02X}>" for b in range(256)]


def byte_level(special, size=400, *, nfc=False, added=()):
    """As Qwen (with `nfc`) and Llama 3: BPE over stand-ins for bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(models.BPE())
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS,
        BpeTrainer(
            vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in added])
    return tokenizer


def sentencepiece(special, prefix=None, *, added=()):
    """BPE with byte fallback, as converted from SentencePiece.

    Args:
        special: special tokens.
        prefix: who puts a space before texts: None (Gemma), "normalizer" (Llama 2), or the scheme
            of a Metaspace splitter, "always" or "first".
        added: further tokens that are text.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    spaces = normalizers.Replace(" ", "▁")
    if prefix in ("always", "first"):
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prefix, split=False)
    else:
        tokenizer.normalizer = spaces
    if prefix == "normalizer":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces])
    if prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)
    trainer = BpeTrainer(
        vocab_size=420, special_tokens=["<unk>", *special, *BYTE_TOKENS], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    rules = json.loads(tokenizer.to_str())
    # Real vocabularies hold the bytes as common tokens.
    rules["added_tokens"] = [t for t in rules["added_tokens"] if t["content"] not in BYTE_TOKENS]
    tokenizer = Tokenizer.from_str(json.dumps(rules))
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in added])
    return tokenizer


def fast(tokenizer, chat_template=None):
    """As transformers loads it."""
    from transformers import PreTrainedTokenizerFast

    loaded = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    loaded.chat_template = chat_template
    return loaded
