"""The tuned model answers prompts it was not trained on; prints each answer and whether its call is right.

    python answer.py OUT train.jsonl held_out.jsonl

System text and tools are those of a training row, as hermes would send them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

from tool_call_parsers import get_parser


def main() -> None:
    out, rows, prompts = (Path(name) for name in sys.argv[1:4])
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(out)
    with rows.open(encoding="utf-8") as file:
        row = json.loads(file.readline())
    system, tools = row["messages"][0], json.loads(row["tools"])
    parser = get_parser("hermes")
    right = 0
    wanted = [json.loads(line) for line in prompts.read_text(encoding="utf-8").splitlines()]
    for each in wanted:
        messages = [system, {"role": "user", "content": each["prompt"]}]
        asked = tokenizer.apply_chat_template(
            messages, tools=tools, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        tokens = model.generate(**asked, max_new_tokens=120, do_sample=False)[0][
            asked["input_ids"].shape[1] :
        ]
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        calls = [
            (call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in parser.parse(text, tools).tool_calls
        ]
        is_right = calls == [("write_file", {"path": each["file"], "content": each["text"] + "\n"})]
        right += is_right
        print(f"{'right' if is_right else 'WRONG'}: {each['prompt']}\n{text}")
    print(f"{right} of {len(wanted)} calls are right")


if __name__ == "__main__":
    main()
