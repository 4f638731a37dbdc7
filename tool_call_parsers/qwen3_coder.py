"""`<tool_call><function=f><parameter=x>1</parameter></function></tool_call>`: Qwen3-Coder and its relatives.

Formats: the chat templates of Qwen3-Coder, Nemotron 3, Step 3.5, MiMo and Seed-OSS. All but the last two
write one line break on each side of a value.
"""

import re

from tool_call_parsers.json_text import Cut
from tool_call_parsers.python_calls import container
from tool_call_parsers.xml_calls import HEAD, Head, XmlCalls
from tool_call_parsers.xml_parameters import properties_of

# A name whose tag is not closed ends where something else of a call begins.
_NAME = re.compile(r"<function=(.*?)(>|(?=</function>|</?[a-z:]*tool_call>|<function=))", re.S)


class Qwen3Coder(XmlCalls):
    """Calls of Qwen3-Coder."""

    wrappers = (("<tool_call>", "</tool_call>"),)
    call_mark = "<function="
    call_close = "</function>"
    parameter_mark = "<parameter="
    parameter_close = "</parameter>"
    call_head = r"<function=([^<>]+)>"
    parameter_head = r"<parameter=([^<>]+)>"
    trim = "newline"
    open_ended = True
    partial = True

    def head(self, text: str, at: int) -> Head | None:
        """The name, which a model may have left unclosed."""
        found = _NAME.match(text, at, at + HEAD)
        if found and found[1].strip():
            return Head(found[1].strip(), found.end())
        if not found and len(text) < at + HEAD:
            raise Cut
        return None


class SeedOss(Qwen3Coder):
    """Calls of Seed-OSS: other tags around the same, and its template writes objects as Python does."""

    wrappers = (("<seed:tool_call>", "</seed:tool_call>"),)
    reasoning = (("<seed:think>", "</seed:think>"),)
    tight = True

    def by_schema(self, tool: str, key: str, raw: str) -> str:
        """As the others; a dict or a list of Python where the schema wants an object or a list."""
        schema = self.tools.get(tool)
        properties = {} if self.strict else properties_of(schema)
        found = container(raw, properties[key], schema) if key in properties else None
        return super().by_schema(tool, key, raw) if found is None else found


class Mimo(Qwen3Coder):
    """Calls of MiMo: no line breaks around values."""

    trim = ""
