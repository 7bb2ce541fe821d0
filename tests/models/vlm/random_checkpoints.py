"""Checkpoints of the real architectures with random weights, written by transformers and tokenizers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
    Qwen2Config,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}: {{message['content']}}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
CHATML_TEMPLATE = (
    "{% for m in messages %}{{'<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n'}}{% endfor %}"
)
VICUNA_TEMPLATE = "{% for m in messages %}{{ m.role | upper }}: {{ m.content }} {% endfor %}ASSISTANT:"

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PRE_TOKENIZERS: dict[str, Any] = {
    "smollm": [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ],
    "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)],
    "llama-bpe": [
        pre_tokenizers.Split(Regex(_CONTRACTIONS + r"\p{N}{1,3}" + _REST), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ],
    "qwen2": [
        pre_tokenizers.Split(Regex(_CONTRACTIONS + r"\p{N}" + _REST), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ],
}
SPECIAL = {
    "smollm": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<global-img>"]
    + ["<image>", "<end_of_utterance>"],
    "gpt-2": ["<|endoftext|>"],
    "llama-bpe": ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<image>"],
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"],
}
CORPUS = [
    "A man rides a red bicycle down the street while 3 cars wait at the traffic light.",
    "At 12:45 the door opens; someone says: \"don't leave the children alone, they're here!\"",
    "The quick brown fox jumps over the lazy dog, 1234567890 times, and nobody's counting.",
    "Straße, café, naïve, 東京タワー, Привет мир, emoji 😀 and tabs\tor\nnew lines\r\n  with spaces.",
] * 3


def write_bpe(folder: Path, kind: str, *, vocab: int = 400) -> Tokenizer:
    """tokenizer.json of a byte-level BPE with the pre-tokenizer of one family."""
    tokenizer = Tokenizer(models.BPE())
    steps = PRE_TOKENIZERS[kind]
    tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=SPECIAL[kind], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    marks = {"eos_token": "<end_of_utterance>" if kind == "smollm" else SPECIAL[kind][0]}
    if kind == "smollm":
        marks["bos_token"] = "<|im_start|>"
    (folder / "tokenizer_config.json").write_text(json.dumps(marks))
    return tokenizer


def write_llama2_bpe(folder: Path, *, vocab: int = 500) -> Tokenizer:
    """tokenizer.json of BPE with byte fallback, as Llama 2 and Vicuna have it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    table = json.loads(tokenizer.to_str())
    table["added_tokens"] = [t for t in table["added_tokens"] if not t["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(table))
    tokenizer.add_special_tokens(["<image>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    marks = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(marks))
    return tokenizer


def write_smolvlm(folder: Path, **changes: Any) -> SmolVLMForConditionalGeneration:
    """A tiny SmolVLM: SigLIP tower of 2 blocks, pixel shuffle by 2, Llama of 2 layers with grouped heads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_bpe(folder, "smollm")
    vision = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
    text |= {"vocab_size": tokenizer.get_vocab_size() + 3, "rms_norm_eps": 1e-5}
    config = SmolVLMConfig(
        vision_config={**vision, "image_size": 64, "patch_size": 8},
        text_config={**text, **changes},
        scale_factor=2,
        image_token_id=tokenizer.token_to_id("<image>"),
    )
    (folder / "preprocessor_config.json").write_text(json.dumps(smolvlm_pictures(64)))
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": SMOLVLM_TEMPLATE}))
    return _saved(SmolVLMForConditionalGeneration, config, folder)


def smolvlm_pictures(side: int) -> dict[str, Any]:
    """preprocessor_config.json of a SmolVLM whose tiles have ``side`` pixels."""
    return {
        "image_processor_type": "SmolVLMImageProcessor",
        "size": {"longest_edge": 4 * side},
        "max_image_size": {"longest_edge": side},
        "resample": 1,
        "do_image_splitting": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def write_llava(
    folder: Path, *, tower: str = "clip", text: str = "llama", layer: int | list[int] = -2
) -> LlavaForConditionalGeneration:
    """A tiny LLaVA: CLIP or SigLIP tower of 3 blocks, MLP, Llama or Qwen2 of 2 layers."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_llama2_bpe(folder) if text == "llama" else write_bpe(folder, "qwen2")
    shape = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
    shape |= {"image_size": 56, "patch_size": 14}
    words = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    words |= {"num_key_value_heads": 2, "max_position_embeddings": 512, "vocab_size": 520}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**shape) if tower == "clip" else SiglipVisionConfig(**shape),
        text_config=LlamaConfig(**words) if text == "llama" else Qwen2Config(**words),
        image_token_index=tokenizer.token_to_id("<image>"),
        vision_feature_layer=layer,
        vision_feature_select_strategy="default" if tower == "clip" else "full",
        image_seq_length=16,
    )
    pictures: dict[str, Any] = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": 56, "width": 56},
    }
    if tower == "clip":
        pictures = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 56}}
        pictures["crop_size"] = {"height": 56, "width": 56}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    template = VICUNA_TEMPLATE if text == "llama" else CHATML_TEMPLATE
    (folder / "chat_template.jinja").write_text(template)
    return _saved(LlavaForConditionalGeneration, config, folder)


def _saved(kind: type[PreTrainedModel], config: Any, folder: Path) -> Any:
    """A random model in ``folder``, its weights wide enough that every part shows in the logits."""
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.ndim < 2 else 0.12))
    model.tie_weights()
    model.save_pretrained(folder)
    return model
