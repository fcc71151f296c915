"""Language rules of the project, as far as a machine can enforce them.

`python -m tests.support.language [PATH...]` prints every violation below the paths (default: `monitor`, `README.md`,
`CONTRIBUTING.md`, `docs`) as `file:line: word: rule` and exits with 1 if there is one. `--advice` adds the words in
docstrings, comments, messages and the files of the dashboard, and function docstrings that do not begin with a verb.
The test does not enforce these.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = frozenset({".py", ".md", ".js", ".html", ".lua"})
EVERYTHING = ("monitor", "README.md", "CONTRIBUTING.md", "docs")

OPENINGS = frozenset({"of", "that", "those", "who", "what", "where", "when", "how", "whether"})
_ARTICLES_AND_SO_ON = """
a all an any both each either every for from his if in it its neither no none not nothing on one only ours same some
such the their them there these they this to two under until where which while whom whose with yes
"""
NO_VERBS = frozenset(_ARTICLES_AND_SO_ON.split())
INSTEAD = {
    **dict.fromkeys(("told", "said", "tell", "tells", "say", "says", "news", "whom"), "notified, reported, recipient"),
    **dict.fromkeys(("asked", "asking", "question", "questions"), "request, query, sent heartbeat, parameter"),
    **dict.fromkeys(("look", "looks", "sight", "sighting", "sightings", "seen"), "observation, snapshot, report"),
    **dict.fromkeys(("notes", "noting"), "round state"),
    **dict.fromkeys(("whole", "wholes"), "parent check, entire"),
    **dict.fromkeys(("part", "parts"), "child check, section, component"),
    **dict.fromkeys(("fine", "amiss"), "ok, failing, error"),
    **dict.fromkeys(("comes", "goes by itself", "is gone", "are gone"), "is created, expires, was deleted"),
    **dict.fromkeys(("dialect", "dialects"), "response format"),
    **dict.fromkeys(("room", "rooms", "house"), "package, space"),
    **dict.fromkeys(("dead man",), "dead man's switch"),
    **dict.fromkeys(
        ("those who", "whoever", "somebody", "nobody"), "the client, the operator, another process, no worker"
    ),
}
_WORDS = "|".join(sorted(INSTEAD, key=len, reverse=True))
_LONGER_PHRASE = r"'s? switch|(?<=whole)\s+numbers?\b"  # a dead man's switch, a whole number
BANNED = re.compile(rf"(?<![\w'-])({_WORDS})(?![\w-]|{_LONGER_PHRASE})", re.I)

# Fixed by the public contract or by a library: (file or folder, name).
ALLOWED = frozenset(
    {("monitor/model/alerts.py", "told"), ("monitor/model/alerts.py", "told")}
)  # a key of stored alerts

CODE_IN_MARKDOWN = re.compile(
    r"^( *)(```+|~~~+).*?^ *\2 *$|<!-- recorded: .*?<!-- end -->|<!--.*?-->|(`+)(?!`).+?(?<!`)\3(?!`)|\]\([^)]*\)",
    re.M | re.S,
)
WORDS_OF_A_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Violation(NamedTuple):
    """Place in a file, the word there, and the rule it breaks."""

    path: str
    line: int
    word: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word}: {self.rule}"


def violations(paths: Iterable[str] = EVERYTHING, *, advice: bool = False) -> list[Violation]:
    """Return the violations below `paths`, sorted by place."""
    found: list[Violation] = []
    for path in _files(paths):
        text = path.read_text()
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py":
            found += _of_python(name, text, advice=advice)
        elif path.suffix == ".md":
            found += _in_prose(name, _prose(text))
        elif advice:
            found += [one._replace(rule=f"advice: {one.rule}") for one in _in_prose(name, text)]
    under = tuple(paths)
    found += [one for one in _classes_with_one_name() if one.path.startswith(under)]
    return sorted(set(found))


def _files(paths: Iterable[str]) -> Iterator[Path]:
    for start in map(ROOT.joinpath, paths):
        candidates = sorted(start.rglob("*")) if start.is_dir() else [start]
        yield from (path for path in candidates if path.suffix in SUFFIXES and "vendor" not in path.parts)


def _of_python(name: str, text: str, *, advice: bool) -> Iterator[Violation]:
    tree = ast.parse(text)
    yield from _in_name(name, 1, Path(name).stem)
    for node in ast.walk(tree):
        yield from _docstring(name, node, advice=advice)
        yield from _names(name, node)
        yield from _descriptions(name, node)
        yield from _aliases(name, node)
    if advice:
        yield from _comments(name, text)
        yield from _texts(name, tree)


def _docstring(name: str, node: ast.AST, *, advice: bool) -> Iterator[Violation]:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    docstring = ast.get_docstring(node)
    if not docstring:
        return
    line = node.body[0].lineno
    first = (re.findall(r"[\w'-]+", docstring) or [""])[0]
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    if first.lower() in OPENINGS:
        yield Violation(name, line, first, "a docstring opens with a verb (function) or a noun (class, module)")
    if advice:
        if is_function and not _is_property(node) and first.lower() in NO_VERBS:
            yield Violation(name, line, first, "advice: a function's docstring opens with a verb")
        for found in _in_prose(name, docstring):
            yield found._replace(line=line + found.line - 1, rule=f"advice, docstring: {found.rule}")


def _is_property(node: ast.AST) -> bool:
    return any("property" in ast.unparse(one) for one in getattr(node, "decorator_list", ()))


def _names(name: str, node: ast.AST) -> Iterator[Violation]:
    if isinstance(node, ast.ClassDef):
        yield from _in_name(name, node.lineno, node.name)
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                yield from _in_name(name, field.lineno, field.target.id)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _in_name(name, node.lineno, node.name)
    elif isinstance(node, ast.arg):
        yield from _in_name(name, node.lineno, node.arg)


def _in_name(path: str, line: int, name: str) -> Iterator[Violation]:
    words = [word.lower() for word in WORDS_OF_A_NAME.findall(name)]
    phrase = " ".join(words)
    for word, instead in INSTEAD.items():
        if re.search(rf"\b{word}\b(?! (?:s )?switch)", phrase) and not _allowed(path, name):
            yield Violation(path, line, word, f"name {name}; rather: {instead}")


def _allowed(path: str, name: str) -> bool:
    return any(path.startswith(place) and name == word for place, word in ALLOWED)


def _descriptions(name: str, node: ast.AST) -> Iterator[Violation]:
    if not _is_description(node):
        return
    for text in ast.walk(node):
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            for found in _in_prose(name, text.value):
                yield found._replace(line=text.lineno, rule=f"description; {found.rule}")


def _is_description(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg == "description"


def _aliases(name: str, node: ast.AST) -> Iterator[Violation]:
    if isinstance(node, ast.Import):
        imported = [(one.name, one) for one in node.names if one.name.startswith("monitor.")]
    elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "monitor":
        imported = [(f"{node.module}.{one.name}", one) for one in node.names]
    else:
        return
    for module, one in imported:
        if one.asname and one.asname != one.name and _is_module(module):
            yield Violation(name, node.lineno, one.asname, f"an own module is imported under its own name: {module}")


def _is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def _comments(name: str, text: str) -> Iterator[Violation]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            for found in _in_prose(name, token.string):
                yield found._replace(line=token.start[0], rule=f"advice, comment: {found.rule}")


def _texts(name: str, tree: ast.Module) -> Iterator[Violation]:
    """Yield the words in sentences that are neither docstrings nor descriptions, such as messages and help."""
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    documented |= {id(one) for node in ast.walk(tree) if _is_description(node) for one in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            for found in _in_prose(name, node.value) if node.value.count(" ") > 1 else ():
                yield found._replace(line=node.lineno, rule=f"advice, text: {found.rule}")


def _prose(markdown: str) -> str:
    """Blank out code, recorded outcomes, comments and link targets, and keep the number of lines."""
    return CODE_IN_MARKDOWN.sub(lambda found: "\n" * found[0].count("\n") or " ", markdown)


def _in_prose(name: str, text: str) -> Iterator[Violation]:
    plain = re.sub(r"(`+)[^`]+\1", lambda found: "\n" * found[0].count("\n"), text)
    for found in BANNED.finditer(plain):
        line = plain.count("\n", 0, found.start()) + 1
        yield Violation(name, line, found[0], f"rather: {INSTEAD[found[0].lower()]}")


def _classes_with_one_name() -> Iterator[Violation]:
    places: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for path in (path for path in _files(["monitor"]) if path.suffix == ".py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append((path.relative_to(ROOT).as_posix(), node.lineno))
    for name, where in places.items():
        for path, line in where if len(where) > 1 else ():
            others = ", ".join(sorted(other for other, _ in where if other != path))
            yield Violation(path, line, name, f"the name of a public class is unique; also in {others}")


def main() -> int:
    """Print the violations below the paths of the command line."""
    parser = argparse.ArgumentParser(description="Violations of the language rules, as file:line: word: rule.")
    parser.add_argument("paths", nargs="*", default=EVERYTHING)
    parser.add_argument("--advice", action="store_true", help="also docstrings and comments, which no test enforces")
    options = parser.parse_args()
    found = violations(options.paths, advice=options.advice)
    sys.stdout.write("".join(f"{one}\n" for one in found) or "no violation\n")
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main())
