"""Reads a shell command, or says what in it is not understood: whatever bash might take otherwise.

Understood are words, quotes, globs, `~`, `$HOME`, `$PWD`, joints, redirections, comments. Not understood are
substitutions, other variables, assignments, groups, functions, here-documents, `&` and all the rest.
The time it takes grows with the length of the line, and a line has a greatest length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from itertools import groupby
from typing import NoReturn, TypeAlias

from safety.commands.shell_line import Joint, NotUnderstood, Redirect, Simple, Word
from safety.commands.words import word_list

LONGEST = 32_768
"""Characters; a longer line is nothing a person could look over, and not judged."""
MOST = 256
"""Simple commands in a line."""
MOST_WORDS = 4_000
"""Words in a line."""

_BARE = re.compile(r"[A-Za-z0-9_@%+:,./^-]+")
_BLANK = re.compile(r"[ \t]+")
_IN_DOUBLE = re.compile(r'[^"\\$`]+')
_IN_SINGLE = re.compile(r"[^']*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]]*\])?\+?=")
_BRACES = re.compile(r"\{[^{}]*\}")
_REDIRECTION = re.compile(r"([0-9]?)(>&|<&|&>>|&>|>>|>\||<<|<>|<\(|>\(|<|>)")
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f")
"""Letters and marks that show as nothing, beside what Unicode calls controls and spaces."""
_INNER_TILDE = re.compile(r"[=:]~")
_GLOB = re.compile(r"([*?\[])")
_LITERAL_DOLLAR = frozenset(" \t\n/|.,)%:;&^+=~\\]}")


_Piece: TypeAlias = tuple[str, bool]
"""Text of a word, and whether it was quoted."""


class _Refused(Exception):
    def __init__(self, reason: str, start: int, end: int) -> None:
        self.reason, self.start, self.end = reason, start, end


def read(line: str, values: Mapping[str, str]) -> tuple[Simple, ...] | NotUnderstood:
    """The simple commands of `line`, in order. `values` has HOME and PWD as the shell will."""
    if len(line) > LONGEST:
        return NotUnderstood(line[:80] + "…", f"it is longer than {LONGEST:,} characters")
    if found := _deceptive(line):
        return found
    reader = _Reader(line, values)
    try:
        return tuple(reader.commands())
    except _Refused as refused:
        part = line[refused.start : max(refused.end, refused.start + 1)]
        return NotUnderstood(part.strip() or part, refused.reason)


def _deceptive(line: str) -> NotUnderstood | None:
    """Characters that look like something else, or like nothing."""
    if line.isascii() and line.isprintable():
        return None
    for character in line:
        if character in "\n\t":
            continue
        kind = unicodedata.category(character)
        unseen = kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or character in _UNSEEN
        if unseen or (kind == "Zs" and character != " "):
            name = unicodedata.name(character, f"U+{ord(character):04X}").lower()
            return NotUnderstood(character, f"it has a character that cannot be seen ({name})")
    return None


class _Reader:
    def __init__(self, line: str, values: Mapping[str, str]) -> None:
        self.line, self.values = line, values
        self.at = 0
        self.words = 0

    def commands(self) -> list[Simple]:
        found: list[Simple] = []
        joint: Joint = ""
        while True:
            self._skip_blank()
            if joint in ("", ";", "&&", "||", "|"):
                self._skip_empty_lines(joint)
            if self.at >= len(self.line):
                if joint in ("&&", "||", "|"):
                    self._refuse("it ends in the middle")
                return found
            if len(found) == MOST:
                self._refuse(f"it has more than {MOST} commands")
            found.append(self._simple(joint))
            joint = self._joint()

    def _skip_empty_lines(self, joint: Joint) -> None:
        while True:
            self._skip_blank()
            if self._peek() == "#":
                self._skip_comment()
            elif self._peek() == "\n":
                self.at += 1
            else:
                return

    def _joint(self) -> Joint:
        """Reads what ends a command. At the end of the line it is `;`."""
        rest = self.line[self.at : self.at + 2]
        if rest in ("&&", "||"):
            self.at += 2
            return "&&" if rest == "&&" else "||"
        if rest[:1] == "|" and rest != "|&":
            self.at += 1
            return "|"
        if rest[:1] in (";", "\n") and rest != ";;" and rest != ";&":
            self.at += 1
            return ";"
        if not rest:
            return ";"
        return self._refuse(
            "it runs something in the background" if rest[0] == "&" else "it is no simple command"
        )

    def _simple(self, joint: Joint) -> Simple:
        start = self.at
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            self._skip_blank()
            character = self._peek()
            if character == "#":
                self._skip_comment()
            elif (
                not character
                or character in "\n;|"
                or (character == "&" and self.line[self.at : self.at + 2] != "&>")
            ):
                break
            elif (redirect := self._redirect()) is not None:
                redirects += redirect
            else:
                words += self._word(first=not words)
                self.words += 1
                if self.words > MOST_WORDS:
                    self._refuse(f"it has more than {MOST_WORDS:,} words")
        source = self.line[start : self.at].strip()
        if not words:
            self._refuse(
                "there is a redirection without a program" if redirects else "there is no program", start
            )
        return Simple(joint, tuple(words), tuple(redirects), source)

    def _redirect(self) -> list[Redirect] | None:
        """None where no redirection begins; an empty list for one without an effect on files."""
        found = _REDIRECTION.match(self.line, self.at)
        if found is None:
            return None
        number, operator = found.groups()
        if operator in ("<<", "<>", ">|", "<&", "&>>", "<(", ">(") or (number and operator == "&>"):
            self._refuse("it has a redirection of an unusual kind", end=found.end())
        self.at = found.end()
        self._skip_blank()
        words = self._word(first=False) if self._peek() not in ("", "\n", "#") else []
        if len(words) != 1 or words[0].pattern or words[0].variable:
            self._refuse("it is not clear where a redirection leads", found.start())
        target = words[0]
        if operator == ">&":
            if not (target.plain and re.fullmatch("[0-9]", target.text)):
                self._refuse("it is not clear where a redirection leads", found.start())
            return []
        if operator in (">", ">>", "&>") and target.text == "/dev/null":
            return []
        return [Redirect("<" if operator == "<" else ">>" if operator == ">>" else ">", target)]

    def _word(self, *, first: bool) -> list[Word]:
        """One word, or several where braces name them one after another."""
        start = self.at
        pieces: list[_Piece] = []
        plain, variable = True, False
        while self.at < len(self.line):
            if found := _BARE.match(self.line, self.at):
                pieces.append((found[0], False))
                self.at = found.end()
                continue
            character = self.line[self.at]
            if character in " \t\n;|&<>":
                break
            if character in "()`":
                self._refuse("it has a substitution, a group or a function", start)
            if character == "$":
                text, known = self._variable(start, quoted=False)
                pieces.append((text, True))
                plain, variable = False, variable or not known
            elif character in "'\"\\":
                plain = False
                text, known = self._quoted(start)
                variable = variable or not known
                pieces.append((text, True))
            else:
                pieces.append((character, False))
                self.at += 1
        text = "".join(text for text, _ in pieces)
        if self._peek() in ("<", ">") and (text.isdecimal() or text.endswith("}")):
            self._refuse("it has a redirection of an unusual kind", start)
        if first:
            self._check_program(text, plain, start)
        return self._expanded(pieces, plain, variable, start)

    def _check_program(self, text: str, plain: bool, start: int) -> None:
        if not plain:
            self._refuse("the name of its program is quoted or made up", start)
        if _ASSIGNMENT.match(text):
            self._refuse("it sets a variable", start)
        if text in word_list("keywords"):
            self._refuse(f"`{text}` begins more than a simple command", start)
        if not text.isascii() or set(text) & set("*?{}~=!^,%") or ("[" in text and text != "["):
            self._refuse("the name of its program is unusual", start)

    def _quoted(self, start: int) -> tuple[str, bool]:
        line = self.line
        if line[self.at] == "\\":
            if self.at + 1 >= len(line):
                self._refuse("it ends in a backslash", start)
            character = line[self.at + 1]
            self.at += 2
            return ("" if character == "\n" else character), True
        if line[self.at] == "'":
            found = _IN_SINGLE.match(line, self.at + 1)
            end = found.end() if found else len(line)
            if end >= len(line):
                self._refuse("a quote is not closed", start, len(line))
            text = line[self.at + 1 : end]
            self.at = end + 1
            return text, True
        return self._double_quoted(start)

    def _double_quoted(self, start: int) -> tuple[str, bool]:
        line, text, known = self.line, [], True
        self.at += 1
        while True:
            if found := _IN_DOUBLE.match(line, self.at):
                text.append(found[0])
                self.at = found.end()
            if self.at >= len(line):
                self._refuse("a quote is not closed", start, len(line))
            character = line[self.at]
            if character == '"':
                self.at += 1
                return "".join(text), known
            if character == "`":
                self._refuse("it has a substitution", start)
            if character == "$":
                piece, sure = self._variable(start, quoted=True)
                text.append(piece)
                known = known and sure
                continue
            following = line[self.at + 1 : self.at + 2]
            self.at += 2
            if following == "\n":
                continue
            text.append(following if following and following in '"\\$`' else "\\" + following)

    def _variable(self, start: int, *, quoted: bool) -> tuple[str, bool]:
        """The value of a variable, and whether it is known."""
        line = self.line
        following = line[self.at + 1 : self.at + 2]
        if not following or following in _LITERAL_DOLLAR or (quoted and following == '"'):
            self.at += 1
            return "$", True
        braced = following == "{"
        found = _NAME.match(line, self.at + (2 if braced else 1))
        if following == "?":
            self.at += 2
            return "0", False
        if found is None or (braced and line[found.end() : found.end() + 1] != "}"):
            self._refuse("it has a substitution or an expansion", start, self.at + 2)
        name, self.at = found[0], found.end() + braced
        value = self.values.get(name, "")
        if value and (quoted or not re.search(r"[\s*?\[\\]", value)):
            return value, True
        if name in word_list("printed_variables"):
            return "0", False
        return self._refuse(f"the value of ${name} is not known", start)

    def _expanded(self, pieces: list[_Piece], plain: bool, variable: bool, start: int) -> list[Word]:
        """Braces, `~` and globs, as bash expands them, in its order."""
        bare = "".join(text for text, quoted in pieces if not quoted)
        if not set(bare) & set("{}~*?["):
            return [Word("".join(text for text, _ in pieces), plain, variable=variable)]
        joined = [
            ("".join(text for text, _ in group), quoted)
            for quoted, group in groupby(pieces, key=lambda piece: piece[1])
        ]
        found = self._unfolded(joined, bare, start) if "{" in bare or "}" in bare else [joined]
        return [self._tilde_and_glob(each, plain, variable, start) for each in found]

    def _unfolded(self, pieces: list[_Piece], bare: str, start: int) -> list[list[_Piece]]:
        """Braces with a list in them; others are literal, as in `{}` and `HEAD@{1}`."""
        if bare in ("{", "}"):
            self._refuse("it has a group", start)
        braces = _BRACES.search(bare)
        if len(pieces) == bare.count("{") == bare.count("}") == 1 and braces and "," in braces[0]:
            before, after = bare[: braces.start()], bare[braces.end() :]
            words = [before + each + after for each in braces[0][1:-1].split(",")]
            if all(words) and ".." not in braces[0]:
                return [[(word, False)] for word in words]
        if "," in bare or ".." in bare or len(pieces) > 1 or bare.count("{") > 1:
            self._refuse("it has braces", start)
        return [pieces]

    def _tilde_and_glob(self, pieces: list[_Piece], plain: bool, variable: bool, start: int) -> Word:
        text, quoted = pieces[0]
        if not quoted and text.startswith("~"):
            prefix, slash, _ = text.partition("/")
            if prefix != "~" or (not slash and len(pieces) > 1) or not self.values.get("HOME"):
                self._refuse("it names somebody's home in an unusual way", start)
            pieces = [(self.values["HOME"], True), (text[1:], False), *pieces[1:]]
            plain = False
        if _INNER_TILDE.search("".join("x" if quoted else text for text, quoted in pieces)):
            self._refuse("it names somebody's home in an unusual way", start)
        text = "".join(text for text, _ in pieces)
        if not set("*?[") & set("".join(text for text, quoted in pieces if not quoted)):
            return Word(text, plain, variable=variable)
        pattern = "".join(_GLOB.sub(r"[\1]", text) if quoted else text for text, quoted in pieces)
        return Word(text, plain, pattern, variable)

    def _skip_blank(self) -> None:
        while True:
            if found := _BLANK.match(self.line, self.at):
                self.at = found.end()
            if self.line[self.at : self.at + 2] != "\\\n":
                return
            self.at += 2

    def _skip_comment(self) -> None:
        end = self.line.find("\n", self.at)
        self.at = len(self.line) if end < 0 else end

    def _peek(self) -> str:
        return self.line[self.at : self.at + 1]

    def _refuse(self, reason: str, start: int | None = None, end: int | None = None) -> NoReturn:
        start = self.at if start is None else start
        raise _Refused(reason, start, self.at + 1 if end is None else end)
