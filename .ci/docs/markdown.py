"""markdown.py: what a page of the documents shows: commands, inline code, links and headings.

A fenced block without a language holds commands, one a line, with `\\` at the end of a line that goes
on and comments behind `#`; where lines begin with `$ ` the others are output. Blocks of anything else
have a language (text, math).
"""
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^ *```(\w*) *$")


@dataclass
class Command:
    place: str  # FILE:LINE
    text: str  # one line, without the comment
    comment: str
    block: str  # all of its block

    def words(self):
        return shlex.split(self.text)


class Page:
    def __init__(self, path, root):
        self.path = path.resolve()
        self.name = str(path.relative_to(root))
        self.blocks, self.prose = [], []  # (line, language, [lines]); (line, text)
        self.read()

    def read(self):
        fenced = False
        for number, line in enumerate(self.path.read_text().splitlines(), 1):
            fence = FENCE.match(line)
            if fence:
                fenced = not fenced
                if fenced:
                    self.blocks.append((number + 1, fence[1], []))
            elif fenced:
                self.blocks[-1][2].append(line)
            else:
                self.prose.append((number, line))

    def commands(self):
        found = []
        for start, language, lines in self.blocks:
            if not language:
                found += self.block_commands(start, lines)
        return found

    def block_commands(self, start, lines):
        found, whole, first = [], "", 0
        prompt = any(line.startswith("$ ") for line in lines)
        for number, line in enumerate(lines, start):
            if not whole:
                if not line.strip() or prompt and not line.startswith("$ "):
                    continue
                line, first = line[2:] if prompt else line, number
            whole += line.rstrip("\\")
            if not line.endswith("\\"):
                text, comment = split_comment(whole)
                found.append(Command(f"{self.name}:{first}", text, comment, "\n".join(lines)))
                whole = ""
        return found

    def paragraphs(self):
        """(first line, text) of what lies between empty lines, outside of blocks."""
        first, lines = 0, []
        for number, line in [*self.prose, (0, "")]:
            if line.strip() and (not lines or number == first + len(lines)):
                first = first if lines else number
                lines.append(line)
                continue
            if lines:
                yield first, "\n".join(lines)
            first, lines = number, [line] if line.strip() else []

    def spans(self):
        """(place, text) of inline code."""
        for first, text in self.paragraphs():
            for span in re.finditer(r"(`+)(.+?)\1", text, re.S):
                line = first + text.count("\n", 0, span.start())
                yield f"{self.name}:{line}", " ".join(span[2].split())

    def links(self):
        for number, line in self.prose:
            for target in re.findall(r"\]\(([^) ]+)\)", re.sub(r"`[^`]*`", "", line)):
                yield f"{self.name}:{number}", target

    def anchors(self):
        """As GitHub makes them from headings."""
        for _, line in self.prose:
            heading = re.match(r"#+ +(.*?) *$", line)
            if heading:
                kept = re.sub(r"[^\w\- ]", "", heading[1].lower())
                yield kept.replace(" ", "-")


def split_comment(line):
    """What stands in front of a # that begins a word outside of quotes, and what behind it."""
    quote = ""
    for i, c in enumerate(line):
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c == "#" and (i == 0 or line[i - 1].isspace()):
            return line[:i].strip(), line[i + 1:].strip()
    return " ".join(line.split()), ""


def pages(root):
    root = Path(root).resolve()
    names = ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    return [Page(path, root) for path in
            [*(root / name for name in names), *sorted((root / "docs").glob("*.md"))]]
