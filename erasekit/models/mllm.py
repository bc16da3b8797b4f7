"""A multimodal language model with its processor: encode, score, answer, save, load.

The classes are those of `transformers`, except the image tower of models trained here, which is
open_clip's. The same code therefore also runs ``llava-hf/llava-1.5-7b-hf`` or a Qwen2-VL, from
the hub or a folder.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

import erasekit.models.vision_tower  # noqa: F401  # registers the tower, for loading models
from erasekit.data.question_list import Question, Questions
from erasekit.device import quiet_libraries
from erasekit.errors import RunError, reason
from erasekit.models.clip import Clip, weights_hash
from erasekit.models.llava_spec import MODULES

_IGNORED = -100  #: label of tokens that the loss ignores


@dataclass(frozen=True)
class Encoded:
    """Questions with their answers as inputs of a model.

    Attributes:
        inputs: arguments of the model's `forward`: ids (n, length), mask, pictures.
        labels: ids of the answers' tokens, -100 elsewhere; shape (n, length).
        tower: precomputed output of a frozen image tower, (pictures, places, width); None to run
            the tower.
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    tower: Tensor | None = None


class EncodedList:
    """A fixed list of questions, encoded once, for a LLaVA with a frozen image tower.

    Args:
        mllm: encodes the questions; its tower encodes each picture once.
        questions: the questions, those with pictures first.
        batch: questions encoded at once.
    """

    def __init__(self, mllm: Mllm, questions: Questions, batch: int = 256) -> None:
        read: list[Encoded] = []
        looks = mllm.model.model.vision_tower
        seen: dict[int, int] = {}  # row of each picture in the tower's output
        shown = [q.image for q in questions if q.image is not None]
        for part in batches(questions, batch):
            encoded = mllm.encode(part)
            pixels, new = encoded.inputs.pop("pixel_values", None), []
            for i, image in enumerate(q.image for q in part):
                if image is not None and image not in seen:
                    seen[image] = len(seen)
                    new.append(i)
            with torch.no_grad():
                tower = None if pixels is None else looks(pixels[new]).last_hidden_state
            read.append(replace(encoded, tower=tower))
        length = max(part.labels.shape[1] for part in read)

        def joined(pieces: list[Tensor], filled: int) -> Tensor:
            return torch.cat(
                [nn.functional.pad(p, (0, length - p.shape[1]), value=filled) for p in pieces]
            )

        self._ids = joined([p.inputs["input_ids"] for p in read], mllm.tokenizer.pad_token_id)
        self._mask = joined([p.inputs["attention_mask"] for p in read], 0)
        self._labels = joined([p.labels for p in read], _IGNORED)
        self._tower = torch.cat([p.tower for p in read if p.tower is not None])
        self._shown = torch.tensor([seen[image] for image in shown]).to(self._ids.device)

    def __len__(self) -> int:
        return len(self._labels)

    def take(self, rows: np.ndarray) -> Encoded:
        """The questions at `rows`, those with pictures first, with minimal padding."""
        index = torch.from_numpy(rows).to(self._ids.device)
        length = int(self._mask[index].sum(1).max())
        inputs = {
            "input_ids": self._ids[index, :length],
            "attention_mask": self._mask[index, :length],
        }
        # Questions with pictures come first in the list.
        seen = self._tower[self._shown[index[index < len(self._shown)]]]
        return Encoded(inputs, self._labels[index, :length], seen)


@dataclass(frozen=True)
class Mllm:
    """A multimodal language model with its processor.

    Attributes:
        model: a `transformers` image-text-to-text model, in eval mode.
        processor: converts pictures and text to the model's inputs.
    """

    model: Any
    processor: Any

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    def prompt(self, question: Question) -> str:
        """The text before the answer, from the model's chat template."""
        picture = [{"type": "image"}] if question.image is not None else []
        content = [*picture, {"type": "text", "text": question.text}]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )

    def read(self, texts: list[str], questions: Questions, side: str) -> dict[str, Tensor]:
        """Convert texts and the questions' pictures to model inputs, padded on `side`."""
        images = [questions.images[q.image] for q in questions if q.image is not None]
        before, self.tokenizer.padding_side = self.tokenizer.padding_side, side
        try:
            found = self.processor(
                text=texts, images=images or None, padding=True, return_tensors="pt"
            )
        finally:
            self.tokenizer.padding_side = before
        return {k: v.to(self.device) for k, v in found.items() if k != "token_type_ids"}

    def encode(self, questions: Questions, answers: Sequence[str] | None = None) -> Encoded:
        """Encode questions followed by answers, by default their own.

        Raises:
            RunError: when the tokenizer merges the end of a prompt with the start of an answer.
        """
        prompts = [self.prompt(q) for q in questions]
        told = answers if answers is not None else [q.answer for q in questions]
        ends = self.tokenizer.eos_token
        texts = [f"{p} {a}{ends}" for p, a in zip(prompts, told, strict=True)]
        inputs = self.read(texts, questions, "right")
        ids, labels = inputs["input_ids"], torch.full_like(inputs["input_ids"], _IGNORED)
        lengths = inputs["attention_mask"].sum(1).tolist()
        plain = self.tokenizer(texts)["input_ids"]
        asked = self.tokenizer(prompts)["input_ids"]
        for row, (whole, prompt) in enumerate(zip(plain, asked, strict=True)):
            if whole[: len(prompt)] != prompt:
                raise RunError(
                    f"the tokenizer reads '{prompts[row]}' otherwise with an answer behind it: "
                    "end the chat template with a token of its own"
                )
            start = lengths[row] - (len(whole) - len(prompt))
            labels[row, start : lengths[row]] = ids[row, start : lengths[row]]
        return Encoded(inputs, labels)

    def likelihoods(self, encoded: Encoded) -> tuple[Tensor, Tensor, Tensor]:
        """Log-likelihoods of the answers.

        Returns:
            log-likelihood of each answer, summed over its tokens, (n,); number of its tokens,
            (n,); log-probabilities over the vocabulary at each of the m tokens, (m, v).
        """
        told = encoded.labels[:, 1:]
        there = told != _IGNORED
        inputs = encoded.inputs
        if encoded.tower is not None:
            inputs = self._seen(inputs, encoded.tower)
        # The vocabulary layer is most of a small model, so it only runs on the answers' tokens.
        hidden = self.model.model(**inputs, use_cache=False).last_hidden_state[:, :-1]
        logits = self.model.lm_head(hidden[there]).float()
        probability = logits.log_softmax(1)
        each = probability.gather(1, told[there].unsqueeze(1)).squeeze(1)
        likelihood = each.new_zeros(len(told)).index_add(0, there.nonzero()[:, 0], each)
        return likelihood, there.sum(1), probability

    @torch.no_grad()
    def look(self, inputs: dict[str, Tensor]) -> Tensor:
        """The image tower's embedding of each picture, (pictures, d)."""
        return self.model.model.vision_tower(inputs["pixel_values"]).pooler_output

    @torch.no_grad()
    def think(self, inputs: dict[str, Tensor]) -> Tensor:
        """Last hidden state of the language model where each answer begins, (n, width).

        Args:
            inputs: output of `read`, padded on the left.
        """
        return self.model.model(**inputs, use_cache=False).last_hidden_state[:, -1]

    def _seen(self, inputs: dict[str, Tensor], tower: Tensor) -> dict[str, Tensor]:
        """Inputs of a LLaVA with the tower's output in place of the pictures."""
        ids = inputs["input_ids"]
        pictures = self.model.model.multi_modal_projector(tower)
        words = self.model.get_input_embeddings()(ids)
        place = (ids == self.model.config.image_token_id).unsqueeze(-1)
        return {
            "inputs_embeds": words.masked_scatter(place, pictures.to(words.dtype)),
            "attention_mask": inputs["attention_mask"],
        }

    def log_likelihood(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """The first two values of `likelihoods`."""
        return self.likelihoods(encoded)[:2]

    @torch.no_grad()
    def answer(self, questions: Questions, *, longest: int = 12, batch: int = 128) -> list[str]:
        """Answer each question by greedy decoding."""
        said: list[str] = []
        for part in batches(questions, batch):
            inputs = self.read([self.prompt(q) for q in part], part, "left")
            found = self.model.generate(
                **inputs,
                max_new_tokens=longest,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
            )[:, inputs["input_ids"].shape[1] :]
            said += self.processor.batch_decode(found, skip_special_tokens=True)
        return [text.strip() for text in said]

    def parameters(self, modules: Sequence[str]) -> dict[str, nn.Parameter]:
        """The parameters of some modules (keys of `MODULES`), by name.

        Raises:
            RunError: when the model has no parameter with a known name.
        """
        begins = tuple(prefix for module in modules for prefix in MODULES[module])
        found = {k: v for k, v in self.model.named_parameters() if k.startswith(begins)}
        if not found:
            raise RunError(f"this model has no parameters of the modules {', '.join(modules)}")
        return found

    def fingerprint(self) -> str:
        """SHA-256 of the weights: equal for bit-identical models."""
        return weights_hash(self.model)

    def copy(self) -> Mllm:
        """A copy with its own weights."""
        return Mllm(copy.deepcopy(self.model), self.processor)

    def with_tower(self, clip: Clip) -> Mllm:
        """A copy with another CLIP's image tower.

        Raises:
            RunError: when the tower has another shape.
        """
        other = self.copy()
        try:
            other.model.model.vision_tower.visual.load_state_dict(clip.model.visual.state_dict())
        except (AttributeError, RuntimeError) as error:
            raise RunError(f"this CLIP's image tower does not fit: {reason(error)}") from error
        return other

    def save(self, folder: Path) -> Path:
        """Write the folder that `load_mllm` reads: weights as safetensors, and the processor."""
        with _without_bars():
            self.model.save_pretrained(folder)
            self.processor.save_pretrained(folder)
        return folder


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Hide the progress bars of `transformers`, which would stay in a notebook's output."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def batches(questions: Questions, size: int) -> Iterator[Questions]:
    """Split questions into batches of `size`: those with a picture first, then the others."""
    order = sorted(range(len(questions)), key=lambda i: questions.items[i].image is None)
    if order != list(range(len(questions))):
        raise ValueError("questions with pictures must come before those without")
    for start in range(0, len(questions), size):
        yield questions.take(range(start, min(start + size, len(questions))))


def load_mllm(source: Path | str, device: torch.device | str = "cpu") -> Mllm:
    """Load a multimodal language model from a folder or the hub.

    Raises:
        RunError: when it is missing, damaged, or cannot be downloaded.
    """
    try:
        with quiet_libraries(), _without_bars():
            model: Any = AutoModelForImageTextToText.from_pretrained(source)
            processor = AutoProcessor.from_pretrained(source)
    except Exception as error:  # transformers raises many types for damaged input
        raise RunError(f"multimodal model {source} cannot be loaded: {reason(error)}") from error
    return Mllm(model.to(device).eval(), processor)
