"""Judges a shell command: what it may do, and which of its parts says so."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from safety.commands.arguments import Arguments, take_apart
from safety.commands.dangers import danger
from safety.commands.file_names import FileNames, TooManyNamesError
from safety.commands.git_repository import repository_problem
from safety.commands.judgement import Judgement, Standing
from safety.commands.reach import Reach, Reading
from safety.commands.reader import read
from safety.commands.rules import Rule, find_rule
from safety.commands.shell_line import NotUnderstood, Simple, Word
from safety.commands.values import PLACES, is_harmless
from safety.commands.words import word_list
from safety.paths import acts_by_itself

MOST_PLACES = 1_000
"""Files and folders named in a line; each is looked for."""
MOST_TOLD = 3
"""Of what the parts of a line do; the person sees the whole line, too."""
_SYSTEM_FOLDERS = ("/usr/bin/", "/bin/")
_PLACES_ALONE = frozenset({"private place", "outside the working folder", "runs by itself"})
"""Rules of what is known but for the place it goes to."""
_OLD_TAR = re.compile(r"[tvzjJ]*f?")


class _Asked(Exception):
    """A part of the command that a person must see. `words`: they are not known to be harmless."""

    def __init__(self, rule: str, reason: str, words: list[str] | None = None) -> None:
        self.rule, self.reason, self.words = rule, reason, words


@dataclass(slots=True)
class _Scene:
    """Where the commands of a line run: `folders` are all the working folders there may be."""

    reach: Reach
    trusted: bool
    folders: list[str]
    left: list[str]
    places: int = 0
    names: FileNames = field(default_factory=FileNames)

    @property
    def order(self) -> tuple[Standing, ...]:
        """From what tells the least to what tells the most."""
        if self.trusted:
            return ("reads", "project", "writes", "unknown")
        return ("reads", "writes", "project", "unknown")


def judge(command: str, cwd: str, reach: Reach, *, trusted: bool) -> Judgement:
    """Never raises, whatever `command` is.

    Args:
        cwd: the folder it starts in.
        trusted: the project's own code may run: the person trusts the folder, or commands are confined.
    """
    found = read(command, {"HOME": reach.home, "PWD": "."})
    if isinstance(found, NotUnderstood):
        return _unknown(
            found.part, "not understood", f"it is not understood: {found.reason}", understood=False
        )
    total = Judgement()
    reach.look_anew()
    start = reach.resolve(cwd or ".", "/")
    scene = _Scene(reach, trusted, [start], [start])
    if not found:
        return _unknown("", "nothing", "there is no command")
    told: list[str] = []
    for index, simple in enumerate(found):
        piped = simple.joint == "|" or (index + 1 < len(found) and found[index + 1].joint == "|")
        if simple.joint in (";", "||"):
            scene.folders = list(dict.fromkeys([*scene.left, *scene.folders]))
        part = _judge_simple(simple, scene, piped)
        part.part = part.part or simple.source
        _add(total, part, scene.order)
        if part.standing == "unknown":
            told.append(part.does or part.reason)
    if told:
        total.reason = _told(total, list(dict.fromkeys(told))[:MOST_TOLD])
    return total


def _told(total: Judgement, told: list[str]) -> str:
    """First what it does; then, if that is all, the word that is not known to be harmless."""
    if len(told) > 1:
        return f"{', '.join(told[:-1])}, and {told[-1]}"
    if not total.does or total.rule == "unknown program" or total.reason.startswith("it "):
        return told[0]
    return f"{told[0]} ({total.reason})"


def _unknown(part: str, rule: str, reason: str, *, understood: bool = True) -> Judgement:
    return Judgement("unknown", ("exec",), part, rule, reason, understood=understood)


def _add(total: Judgement, part: Judgement, order: tuple[Standing, ...]) -> None:
    """The part that tells the most decides; the first of equals."""
    before, now = order.index(total.standing), order.index(part.standing)
    if now > before or (now == before and not total.rule):
        total.standing, total.part, total.rule, total.reason, total.does = (
            part.standing, part.part, part.rule, part.reason, part.does,
        )  # fmt: skip
    known = ("read", "write", "exec", "net", "config", "secret")
    total.effects = tuple(each for each in known if each in (*total.effects, *part.effects))
    total.reads += part.reads
    total.writes += part.writes
    total.private = total.private or part.private
    total.understood = total.understood and part.understood


def _judge_simple(simple: Simple, scene: _Scene, piped: bool) -> Judgement:
    result = Judgement()
    try:
        for folder in list(scene.folders):
            for redirect in simple.redirects:
                path = scene.reach.resolve(redirect.target.text, folder)
                if redirect.operator == "<":
                    _read_place(scene, path, "path", result)
                else:
                    _write_place(scene, path, result)
        if simple.words[0].text == "cd":
            _change_folder(simple, scene, piped, result)
        else:
            for folder in scene.folders:
                _judge_program(list(simple.words), folder, scene, result)
    except _Asked as asked:
        program = os.path.basename(simple.words[0].text)
        known = danger(asked.words, fed=simple.joint == "|") if asked.words else None
        seen = {
            "read": bool(result.reads),
            "write": bool(result.writes) or program in word_list("writing"),
            "exec": asked.rule not in _PLACES_ALONE,
            "net": program in word_list("network") or (known is not None and known.net),
            "secret": bool(result.private),
        }
        effects = [effect for effect, found in seen.items() if found]
        return Judgement(
            "unknown", tuple(effects), simple.source, asked.rule, asked.reason, result.reads, result.writes,
            result.private, does=known.does if known else "",
        )  # fmt: skip
    if not result.rule:
        result.rule, result.reason = "redirection", "it writes files"
    return result


def _change_folder(simple: Simple, scene: _Scene, piped: bool, result: Judgement) -> None:
    """`cd DIR` in the working folder. What follows `&&` runs there; what else follows, here or there."""
    words = [word for word in simple.words[1:] if word.text != "--"]
    if piped or simple.redirects or len(words) != 1 or words[0].pattern or words[0].variable:
        raise _Asked("cd", "it is not clear where cd leads")
    if words[0].text.startswith("-") or not words[0].text:
        raise _Asked("cd", "it is not clear where cd leads")
    before, after = list(scene.folders), []
    for folder in before:
        target = os.path.join(folder, words[0].text)
        physical, logical = (
            scene.reach.resolve(target, "/"),
            scene.reach.resolve(os.path.normpath(target), "/"),
        )
        if physical != logical:
            raise _Asked("cd", "the way leads through a link and back")
        if not scene.reach.inside(physical):
            raise _Asked("cd", "it goes out of the working folder")
        _read_place(scene, physical, "list", result)
        after.append(physical)
    scene.left = list(dict.fromkeys([*scene.left, *before, *after]))
    scene.folders = after
    result.rule, result.reason = "cd", "it stays in the working folder"


def _judge_program(words: list[Word], folder: str, scene: _Scene, result: Judgement) -> None:
    words = _unwrapped(words)
    if words[0].text == "cd":
        raise _Asked("cd", "it is not clear where cd leads")
    name = words[0].text
    for system in _SYSTEM_FOLDERS:
        if name.startswith(system) and "/" not in name[len(system) :]:
            name = name[len(system) :]
    texts = [name, *_spelled_out(words[1:], folder, scene)]
    if name == "git":
        texts, folder = _git_words(texts, folder, scene)
    found = find_rule(texts)
    if found is None:
        raise _Asked("unknown program", f"nothing is known of what {_named(texts)} does", texts)
    rule, length = found
    if any(not word.plain for word in words[1:length]):
        raise _Asked(rule.name, "the subcommand is quoted or made up")
    if any(word.variable for word in words[1:]) and name not in ("echo", "printf"):
        raise _Asked(rule.name, "it uses a variable whose value is not known")
    rest = texts[length:]
    if name == "tar" and rest and _OLD_TAR.fullmatch(rest[0]):
        rest = ["-" + rest[0], *rest[1:]]
    if name == "[":
        if not rest or rest[-1] != "]":
            raise _Asked(rule.name, "it has no ]")
        rest = rest[:-1]
    if name == "printf" and len(words) > 1 and words[1].variable:
        raise _Asked(rule.name, "it uses a variable whose value is not known")
    arguments = take_apart(rule, rest)
    if isinstance(arguments, str):
        raise _Asked(_short(texts, length), arguments, texts)
    _apply(rule, _short(texts, length), arguments, folder, scene, result)


def _named(texts: list[str]) -> str:
    length = 2 if texts[0] in word_list("with_subcommands") else 1
    return " ".join(texts[:length])[:60]


def _short(texts: list[str], length: int) -> str:
    return " ".join(texts[:length])[:80]


def _unwrapped(words: list[Word]) -> list[Word]:
    """Without `time` and `timeout N` before it: they run just what follows."""
    if words[0].text == "time" and len(words) > 1 and words[1].plain and not words[1].text.startswith("-"):
        words = words[1:]
    if words[0].text == "timeout" and len(words) > 2:
        amount, program = words[1], words[2]
        if re.fullmatch(r"\d{1,6}(\.\d+)?[smh]?", amount.text) and program.plain and not program.pattern:
            return words[2:]
    return words


def _spelled_out(words: list[Word], folder: str, scene: _Scene) -> list[str]:
    """The words with file names in place of globs, as bash will have them."""
    texts: list[str] = []
    for word in words:
        if not word.pattern:
            texts.append(word.text)
            continue
        try:
            names = scene.names.matching(word.pattern, folder)
        except TooManyNamesError:
            raise _Asked("glob", f"{word.text[:60]} may stand for too many files") from None
        if names and word.text.startswith("-"):
            raise _Asked("glob", f"{word.text[:60]} stands for a file whose name is an option")
        texts += names or [word.text]
    return texts


def _git_words(texts: list[str], folder: str, scene: _Scene) -> tuple[list[str], str]:
    """Without the options of git itself that change nothing, and the folder of `-C`."""
    rest = texts[1:]
    while rest:
        if rest[0] in ("--no-pager", "-P", "--no-optional-locks", "--literal-pathspecs"):
            rest = rest[1:]
        elif rest[0] == "-C" and len(rest) > 1:
            folder = scene.reach.resolve(rest[1], folder)
            if not scene.reach.inside(folder):
                raise _Asked("git -C", "it goes out of the working folder")
            rest = rest[2:]
        else:
            break
    return ["git", *rest], folder


def _apply(
    rule: Rule, name: str, arguments: Arguments, folder: str, scene: _Scene, result: Judgement
) -> None:
    recursive = bool(rule.recursive & arguments.options) or "always" in rule.recursive
    if not scene.trusted and (used := rule.trusted & arguments.options):
        raise _Asked(name, f"{min(used)} follows links out of a folder that is not trusted")
    if not (scene.reach.inside(folder) or scene.reach.harmless(folder)):
        raise _Asked(name, "it runs outside the working folder")
    placed = False
    for kind, text in arguments.typed:
        if kind in PLACES:
            placed = True
            scene.places += 1
            if scene.places > MOST_PLACES:
                raise _Asked(name, f"it names more than {MOST_PLACES} files")
            _judge_place(rule, name, kind, text, recursive, folder, scene, result)
        elif not is_harmless(kind, text):
            why = f"{text[:60] or 'an empty word'} is not known to be harmless here"
            raise _Asked(name, why, [*name.split(" "), text])
    for text in arguments.beside:
        path = scene.reach.resolve(text, folder)
        if text.startswith("/") and os.path.lexists(path) and scene.reach.why_not_read(path, "path")[0]:
            raise _Asked(name, f"{text[:60]} is outside the working folder")
    if recursive and not placed:
        _read_place(scene, folder, "tree", result)
    if "copy*" in rule.operands or "move*" in rule.operands:
        _copied(arguments.operands, folder, scene, result)
    if rule.git:
        _check_git(name, arguments, folder, scene)
    _check_project(rule, name, folder, scene)
    standing: Standing = "project" if rule.project else "writes" if "write" in rule.effects else "reads"
    effects = (*rule.effects, "exec") if rule.project else rule.effects
    _add(result, Judgement(standing, effects, "", name, _why(rule)), scene.order)


def _why(rule: Rule) -> str:
    if rule.project:
        return "it runs the project's own code"
    return "it writes files" if "write" in rule.effects else "it only reads"


def _check_git(name: str, arguments: Arguments, folder: str, scene: _Scene) -> None:
    for word in arguments.operands:
        if scene.reach.secret("/" + word.rpartition(":")[2]):
            raise _Asked(name, "private keys or passwords usually lie there")
    if not scene.trusted and (problem := repository_problem(folder)):
        raise _Asked(name, problem)


def _check_project(rule: Rule, name: str, folder: str, scene: _Scene) -> None:
    if rule.project and not scene.reach.inside(folder):
        raise _Asked(name, "it runs outside the working folder")
    if scene.trusted or not rule.wary:
        return
    for above in _upwards(folder):
        for wary in rule.wary:
            if os.path.lexists(os.path.join(above, wary)):
                raise _Asked(name, f"{wary} in this folder, which is not trusted, chooses what runs")


def _upwards(path: str) -> list[str]:
    found = [path]
    while (parent := os.path.dirname(path)) != path:
        found.append(path := parent)
    return found


def _judge_place(
    rule: Rule,
    name: str,
    kind: str,
    text: str,
    recursive: bool,
    folder: str,
    scene: _Scene,
    result: Judgement,
) -> None:
    if kind == "archive" and ":" in text:
        raise _Asked(name, "an archive with a colon in its name is on another machine")
    if kind in ("path", "archive") and text == "-":
        return
    if "://" in text:
        raise _Asked(name, f"{text[:60]} is the address of another place")
    if rule.project and text.startswith("@"):
        raise _Asked(name, "a file would bring more options")
    path = scene.reach.resolve(text.partition("::")[0] if kind == "node" else text or ".", folder)
    if kind in ("write", "copy", "move"):
        _write_place(scene, path, result)
        return
    if rule.project or kind in ("rev", "node", "dir"):
        if not scene.reach.inside(path):
            raise _Asked(name, f"{text[:60]} is outside the working folder")
        if kind != "path":
            return
    reading: Reading = "path"
    if kind in ("list", "names", "tree"):
        reading = "names" if kind == "list" and recursive else kind  # type: ignore[assignment]
    elif recursive:
        reading = "tree"
    _read_place(scene, path, reading, result)


def _read_place(scene: _Scene, path: str, reading: Reading, result: Judgement) -> None:
    result.reads.append(path)
    why, private = scene.reach.why_not_read(path, reading)
    if private:
        result.private = path
    if why:
        raise _Asked("private place" if private else "outside the working folder", why)


def _write_place(scene: _Scene, path: str, result: Judgement) -> None:
    result.writes.append(path)
    if scene.reach.guarded(path):
        raise _Asked("private place", "it writes where keys or the agent's own files lie")
    if acts_by_itself(path):
        raise _Asked("runs by itself", "it writes to a file that runs, or gives rights, by itself")
    if not scene.reach.inside(path):
        raise _Asked("outside the working folder", "it writes outside the working folder")
    _add(result, Judgement("writes", ("write",)), scene.order)


def _copied(operands: list[str], folder: str, scene: _Scene, result: Judgement) -> None:
    """The names that `cp` and `mv` make: in a folder each operand keeps its last name."""
    if len(operands) < 2:
        raise _Asked("copy", "an operand is missing")
    target = scene.reach.resolve(operands[-1], folder)
    for operand in operands[:-1]:
        source = scene.reach.resolve(operand, folder)
        _read_place(scene, source, "path", result)
        if os.path.isdir(target):
            _write_place(scene, os.path.join(target, os.path.basename(os.path.normpath(operand))), result)
