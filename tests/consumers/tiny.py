"""A tokenizer and a model so small that making them takes a second."""

from __future__ import annotations

import json
from typing import Any

from tests.consumers.conversations import CASES, FORGED, ODD_LINES, TOOLS

MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# ChatML with Hermes calls; {% generation %} marks what the model writes.
TEMPLATE = r"""{%- if messages[0].role == "system" or tools -%}
{{- "<|im_start|>system\n" -}}
{{- messages[0].content if messages[0].role == "system" -}}
{{- "\n<tools>" ~ tools | tojson ~ "</tools>" if tools -}}
{{- "<|im_end|>\n" -}}
{%- endif -%}
{%- for message in messages if message.role != "system" -%}
{{- "<|im_start|>" ~ message.role ~ "\n" -}}
{%- if message.role == "assistant" -%}
{%- generation -%}
{{- "<think>\n" ~ message.reasoning_content ~ "\n</think>\n" if message.reasoning_content -}}
{{- message.content -}}
{%- for call in message.tool_calls or [] -%}
{{- "\n<tool_call>\n{\"name\": \"" ~ call.function.name ~ "\", \"arguments\": " -}}
{{- (call.function.arguments if call.function.arguments is string else call.function.arguments | tojson) -}}
{{- "}\n</tool_call>" -}}
{%- endfor -%}
{{- "<|im_end|>" -}}
{%- endgeneration -%}
{{- "\n" -}}
{%- else -%}
{{- message.content ~ "<|im_end|>\n" -}}
{%- endif -%}
{%- endfor -%}
{{- "<|im_start|>assistant\n" if add_generation_prompt -}}"""


def new_tokenizer() -> Any:
    """A byte-level BPE of 600 tokens with `TEMPLATE`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    texts = [TEMPLATE, FORGED, ODD_LINES, json.dumps(TOOLS), *(json.dumps(case.calls) for case in CASES)]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=MARKS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bare,
        chat_template=TEMPLATE,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=8192,
    )


def learned(tokenizer: Any, row: Any) -> str:
    """The text of the tokens that have a label. Every label is the token itself, as trainers shift them."""
    tokens = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    assert tokens == [label for label in row["labels"] if label != -100]
    return str(tokenizer.decode(tokens))


def written(message: dict[str, Any]) -> str:
    """What `TEMPLATE` says the model wrote in this message."""
    if message["role"] != "assistant":
        return ""
    reasoning = message.get("reasoning_content") or ""
    think = f"<think>\n{reasoning}\n</think>\n" if reasoning else ""
    calls = "".join(
        f'\n<tool_call>\n{{"name": "{call["function"]["name"]}", "arguments": '
        f"{_json(call['function']['arguments'])}}}\n</tool_call>"
        for call in message.get("tool_calls") or []
    )
    return f"{think}{message['content']}{calls}<|im_end|>"


def _json(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def new_model(tokenizer: Any) -> Any:
    """A Qwen3 with random weights: 2 layers, 32 wide."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=8192,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
