"""The tokenizer: end token highest, lower case inside, no unknown words."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from erasekit.models.tokenizer import BOS, EOS, PAD, train_tokenizer

TOKENIZER = train_tokenizer(["a red apple", "これはりんごです", "تفاحة", "яблоко"] * 3, 400)


def test_the_end_token_has_the_highest_id() -> None:
    """open_clip pools the text tower where the id is highest."""
    assert TOKENIZER.token_to_id(EOS) == TOKENIZER.get_vocab_size() - 1
    ids = TOKENIZER.encode("a red apple").ids
    assert (ids[0], ids[-1]) == (TOKENIZER.token_to_id(BOS), TOKENIZER.token_to_id(EOS))
    assert max(ids) == ids[-1]
    assert TOKENIZER.token_to_id(PAD) == 0


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "Zs", "P")), max_size=20))
def test_bytes_leave_no_text_unknown(text: str) -> None:
    read = TOKENIZER.decode(TOKENIZER.encode(text).ids)
    # Lower-casing can leave a decomposed letter; both sides are composed again to compare.
    wanted = unicodedata.normalize("NFC", text).lower()
    assert read.strip() == wanted.strip()


def test_case_does_not_matter() -> None:
    assert TOKENIZER.encode("A Red APPLE").ids == TOKENIZER.encode("a red apple").ids


def test_a_bound_on_the_vocabulary_is_kept() -> None:
    texts = [f"word{i} other{i * 7}" for i in range(200)]
    assert train_tokenizer(texts, 300).get_vocab_size() == 300
    assert train_tokenizer(texts, 400).get_vocab_size() == 400
