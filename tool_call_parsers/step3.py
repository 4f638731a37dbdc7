"""Step 3: `<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="f">…</steptml:invoke>`.

Format: Step 3's chat template. White space around values is not part of them.
"""

from tool_call_parsers.xml_calls import Head, XmlCalls, head_at


class Step3(XmlCalls):
    """Calls of Step 3, which count only between `<｜tool_calls_begin｜>` and `<｜tool_calls_end｜>`."""

    wrappers = (("<｜tool_calls_begin｜>", "<｜tool_calls_end｜>"),)
    bare = False
    all_or_nothing = True
    call_mark = "<｜tool_call_begin｜>"
    call_close = "</steptml:invoke>"
    call_head = r'<｜tool_call_begin｜>\s*function\s*<｜tool_sep｜>\s*<steptml:invoke name="([^"<>]+)">'
    parameter_mark = "<steptml:parameter name="
    parameter_close = "</steptml:parameter>"
    parameter_head = r'<steptml:parameter name="([^"<>]+)">'
    swallowed = ("<｜tool_call_end｜>",)
    trim = "blank"
    tight = True

    def head(self, text: str, at: int) -> Head | None:
        """The name, which stands in the third tag."""
        return head_at(text, at, self._tags.call_head, '">')
