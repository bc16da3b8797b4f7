"""The paper's set-up: models of the published forms, with random weights, on a small benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support_mllm_benchmarks import PERSON, person, picture, write, write_clear
from tokenizers import processors
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from erasekit.errors import UsageError
from erasekit.experiment.published_experiment import (
    MODELS,
    PAPER,
    BenchmarkTask,
    PublishedExperiment,
)
from erasekit.models.mllm import MODULES, load_mllm
from erasekit.models.tokenizer import BOS, EOS, PAD, train_tokenizer

WORDS = "USER: ASSISTANT: What does she do? bakes reads swims a b d She __ . bread Tell me of her"


def tokenizer(*special: str) -> PreTrainedTokenizerFast:
    known = train_tokenizer([WORDS])
    # As theirs, it begins a text, and leaves its end to whoever writes it.
    begin = (BOS, known.token_to_id(BOS))
    known.post_processor = processors.TemplateProcessing(f"{BOS} $A", special_tokens=[begin])
    made = PreTrainedTokenizerFast(
        tokenizer_object=known, pad_token=PAD, bos_token=BOS, eos_token=EOS
    )
    made.add_special_tokens({"additional_special_tokens": list(special)})
    return made


def template(picture: str, before: str, after: str) -> str:
    """A chat template of the published kind: text around a turn, a token for the picture."""
    return (
        "{% for m in messages %}" + before + "{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}" + picture + "{% else %}{{ c['text'] }}{% endif %}"
        "{% endfor %}{% endfor %}{% if add_generation_prompt %}" + after + "{% endif %}"
    )


def llava(folder: Path) -> Path:
    """LLaVA-1.5's form: CLIP's own vision model, whose map before the last is read."""
    words = tokenizer("<image>")
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            image_size=28, patch_size=14, projection_dim=16,
        ),
        text_config=LlamaConfig(
            vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=512,
        ),
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        words,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("<image>\n", "USER: ", " ASSISTANT:"),
    ).save_pretrained(folder)
    return folder


def qwen(folder: Path) -> Path:
    """Qwen2-VL's form: pictures of any size, and as many tokens as their places."""
    marks = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    words = tokenizer(*marks)
    start, end, image, video = words.convert_tokens_to_ids(list(marks))
    torch.manual_seed(0)
    config = Qwen2VLConfig(
        vision_config={
            "depth": 2, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "patch_size": 14,
        },
        text_config={
            "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2],
            },
        },
        image_token_id=image, video_token_id=video,
        vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    small = {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}
    Qwen2VLProcessor(
        Qwen2VLImageProcessor(size=small),
        words,
        Qwen2VLVideoProcessor(size=small),
        chat_template=template(
            "<|vision_start|><|image_pad|><|vision_end|>", "<|user|>", "<|assistant|>"
        ),
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[llava, qwen], ids=["llava-1.5", "qwen2-vl"])
def model(request, tmp_path_factory) -> Path:
    return request.param(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> str:
    """Two people to forget, four to keep, and two famous ones, in MLLMU-Bench's files."""
    home = tmp_path_factory.mktemp("mllmu")
    several = {("images" if k == "image" else k): v for k, v in PERSON.items()}
    import pyarrow as pa

    several["images"] = pa.list_(PERSON["image"])
    for subset, numbers in (("forget_5", "12"), ("retain_95", "3456"), ("Retain_Set", "78")):
        write(home / subset, [person(n) for n in numbers], PERSON)
    rows = [{**person(n), "images": [picture(), picture()]} for n in "12"]
    write(home / "Test_Set", [{k: v for k, v in r.items() if k != "image"} for r in rows], several)
    return f"mllmu:{home}"


def test_a_published_form_erases_with_the_papers_settings(model: Path, benchmark: str) -> None:
    e = PublishedExperiment(benchmark, model=model, device="cpu", progress=False)
    before = e.original.fingerprint()
    erasure = e.erase()
    assert erasure.spec.moves == "lora:16" and erasure.spec.learning_rate == 1e-5
    # Four people with three visual questions each, in fours; a climb every other step but one.
    assert erasure.options["every"] == 0 and erasure.steps == 3 + 2
    assert e.original.fingerprint() == before != erasure.model.fingerprint()
    assert erasure.mask and all("lora_" in name for name in erasure.mask), "over the adapters"
    assert all(torch.isfinite(p).all() for p in erasure.model.model.parameters())


def test_every_kind_is_judged_by_its_measure(model: Path, benchmark: str) -> None:
    e = PublishedExperiment(benchmark, model=model, device="cpu", progress=False)
    control = e.erase("fine_tune", steps=1, moves="language").model
    card = e.evaluate({"original": e.original, "control": control}, draws=5)
    assert card.models == ["original", "control"]
    assert {row.metric for row in card.rows} == {
        "choice:classification", "rouge_l:generation", "accuracy:cloze",
    }  # fmt: skip
    places = {(direction, part) for direction in ("seen", "told") for part in e.task.parts}
    assert {(row.direction, row.subset) for row in card.rows} == places
    assert all(0 <= row.value <= 1 for row in card.rows)
    few = e.evaluate({"original": e.original}, draws=5, most=1)
    assert all(row.n == 1 for row in few.rows)


def test_an_answer_is_read_the_same_alone_and_among_others(model: Path, benchmark: str) -> None:
    mllm = load_mllm(model)
    asked = BenchmarkTask(benchmark).retain.take([0, 1, 2])
    together, _ = mllm.log_likelihood(mllm.encode(asked))
    alone = [mllm.log_likelihood(mllm.encode(asked.take([i])))[0] for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-4)
    # Qwen2-VL's tower ends with what projects into words' places.
    own = set(MODULES) - ({"projector"} if "qwen" in type(mllm.model).__name__.lower() else set())
    assert all(mllm.parameters([module]) for module in own)


def test_clear_is_a_task_as_well(tmp_path: Path) -> None:
    write_clear(tmp_path)
    task = BenchmarkTask(f"clear:{tmp_path}", percent=1)
    assert task.forgotten == ("Bo Sample",)
    assert len(task.forget) and len(task.retain) and len(task.text)
    assert all(q.image is None for q in task.text)
    assert ("visual", "real") in task.subsets()
    assert task.describe() == {"data": f"clear:{tmp_path}", "percent": 1}


def test_the_profile_names_the_papers_models_and_settings() -> None:
    assert MODELS == ("llava-hf/llava-1.5-7b-hf", "Qwen/Qwen2-VL-7B-Instruct")
    assert (PAPER.learning_rate, PAPER.forget_batch, PAPER.retain_batch) == (1e-5, 4, 4)
    assert (PAPER.moves, PAPER.text_batch) == ("lora:16", 0)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"data": "mllm:x"}, "did you mean 'mllmu'"),
        ({"data": "mllmu:nowhere"}, "nowhere is not a folder"),
        ({"data": "mllmu:.", "percent": 7}, "no forget set of 7 percent"),
    ],
)
def test_misuse_is_one_clear_line(parameters: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        PublishedExperiment(**parameters)


def test_a_method_or_a_field_that_is_not_there_is_misuse(benchmark: str) -> None:
    e = PublishedExperiment(benchmark, model="nobody/nothing", device="cpu")
    with pytest.raises(UsageError, match="did you mean 'mmunlearner'"):
        e.erase("mmunlearn")
    with pytest.raises(UsageError, match="did you mean 'steps'"):
        e.erase(stpes=3)
