"""Trains a model of a few million weights, made on the spot, on rows of `hermes export --format trl`.

    python train.py train.jsonl OUT

OUT then holds a model and a tokenizer that transformers loads.
"""

from __future__ import annotations

import json
import random
import string
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, set_seed
from trl import SFTConfig, SFTTrainer

TEMPLATE = Path(__file__).with_name("chat_template.jinja")
LETTERS = string.ascii_lowercase + string.digits + "_-."
MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def main() -> None:
    rows, out = Path(sys.argv[1]), Path(sys.argv[2])
    set_seed(0)
    data = anywhere(load_dataset("json", data_files=str(rows), split="train"))
    tokenizer = new_tokenizer(data)
    model = new_model(tokenizer)
    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=data,
        args=SFTConfig(
            output_dir=str(out),
            assistant_only_loss=True,
            max_length=2048,
            num_train_epochs=3,
            per_device_train_batch_size=2,
            learning_rate=2e-3,
            adam_beta2=0.98,
            weight_decay=0.01,
            warmup_steps=50,
            logging_steps=50,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            seed=0,
        ),
    )
    began = time.monotonic()
    trainer.train()
    trainer.save_model(str(out))
    lengths = [len(row["input_ids"]) for row in trainer.train_dataset]
    print(
        f"{len(data)} rows of {min(lengths)} to {max(lengths)} tokens, {model.num_parameters():,} weights, "
        f"{time.monotonic() - began:.0f} s"
    )


def anywhere(data: Dataset) -> Dataset:
    """Each row eight times, in folders (or none) and on days drawn at random: the end of a system text.

    A model as small as this one stumbles over a folder's name if it never saw any.
    """
    draw = random.Random(0)
    rows = []
    for row in data:
        for _ in range(8):
            parts = ["".join(draw.choices(LETTERS, k=draw.randint(1, 9))) for _ in range(draw.randint(1, 5))]
            day = f"{draw.randint(2024, 2035)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
            folder = f"Working folder: /{'/'.join(parts)}\n" if draw.random() < 0.7 else ""
            place = f"{folder}System: Linux x86_64\nDate: {day}"
            system = row["messages"][0]
            text = system["content"].partition("\n\nSystem: ")[0]
            messages = [{**system, "content": f"{text}\n\n{place}"}, *row["messages"][1:]]
            rows.append({"messages": messages, "tools": row["tools"]})
    return Dataset.from_list(rows, features=data.select_columns(["messages", "tools"]).features)


def new_tokenizer(data: Dataset) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most 2,000 tokens, learned from the rows themselves."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    learner = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=MARKS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, pad_token="<|endoftext|>", eos_token="<|im_end|>", model_max_length=2048
    )
    tokenizer.chat_template = TEMPLATE.read_text(encoding="utf-8")
    bare.train_from_iterator(texts(tokenizer, data), learner)
    return PreTrainedTokenizerFast(
        tokenizer_object=bare,
        chat_template=tokenizer.chat_template,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        model_max_length=2048,
    )


def texts(tokenizer: PreTrainedTokenizerFast, data: Dataset) -> Iterator[str]:
    for row in data:
        yield tokenizer.apply_chat_template(row["messages"], tools=json.loads(row["tools"]), tokenize=False)


def new_model(tokenizer: PreTrainedTokenizerFast) -> Any:
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            initializer_range=0.12,  # with the usual 0.02 so small a model is slow to learn to copy words
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )


if __name__ == "__main__":
    main()
