"""dots: `<dots_function_call><invoke name="f"><parameter name="x">1</parameter></invoke>`.

Format: the model's chat template. Between the outer tags one JSON object with name and arguments may
stand instead. White space around values is not part of them.
"""

from tool_call_parsers.family import Region, may_begin
from tool_call_parsers.json_between_tags import call_of
from tool_call_parsers.json_text import Broken, Cut, members_at
from tool_call_parsers.xml_calls import XmlCalls, skip


class Dots(XmlCalls):
    """Calls of dots."""

    wrappers = (("<dots_function_call>", "</dots_function_call>"),)
    bare = False
    declared_only = True
    trim = "blank"
    tight = True

    def _outside(self, text: str, at: int, final: bool) -> Region:
        (opening, closing) = self.wrappers[0]
        start = skip(text, at + len(opening))
        if not text.startswith(opening, at) or not text.startswith("{", start):
            return super()._outside(text, at, final)
        try:
            members, end = members_at(text, start)
        except Broken as error:
            close = text.find(closing, start)
            if close < 0:
                raise Cut from None
            end = close + len(closing)
            return Region(end, [], text[at:end], broken=True, scanned=error.scanned)
        after = skip(text, end)
        if not final and may_begin(text, after, closing):
            raise Cut
        after += len(closing) if text.startswith(closing, after) else 0
        made = call_of(members, ("name",), ("arguments", "parameters"))
        return Region(after, [made]) if made else Region(after, [], text[at:after], broken=True)
