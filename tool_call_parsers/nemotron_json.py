"""`<TOOLCALL>[{"name": …, "arguments": {…}}, …]</TOOLCALL>`: Nemotron Nano 2 and the Llama Nemotrons.

Format: the chat template of NVIDIA-Nemotron-Nano-9B-v2.
"""

from tool_call_parsers.json_list import JsonList


class NemotronJson(JsonList):
    """A list between tags."""

    openers = ("<TOOLCALL>",)
    closings = ("</TOOLCALL>",)
