"""A byte-level BPE tokenizer trained on a world's texts, in open_clip's format.

A byte-level tokenizer never maps a Japanese or Arabic caption to an unknown token. The
end-of-text token gets the highest id, because open_clip pools the text tower at the position of
the highest id.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from erasekit.files import write_json, write_text

PAD, BOS, EOS = "<pad>", "<start_of_text>", "<end_of_text>"


def train_tokenizer(texts: Sequence[str], vocab_size: int = 16384) -> Tokenizer:
    """Train a tokenizer on `texts`.

    Args:
        texts: training texts; repeats count as weight.
        vocab_size: maximum number of tokens, including the three special ones; a small world
            needs far fewer.
    """
    tokenizer = Tokenizer(models.BPE())
    # Lower-casing is part of the tokenizer, so that open_clip without erasekit does it too.
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        special_tokens=[PAD, BOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([EOS])
    bos, eos = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)
    assert eos == tokenizer.get_vocab_size() - 1
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}", special_tokens=[(BOS, bos), (EOS, eos)]
    )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context_length: int) -> None:
    """Write `tokenizer.json` and the `tokenizer_config.json` that transformers needs."""
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_length,
        "pad_token": PAD,
        "bos_token": BOS,
        "eos_token": EOS,
    }
    write_json(folder / "tokenizer_config.json", config)
