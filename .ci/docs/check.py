"""check.py BUILD: what the documents name, without running it.

Options of moco, in commands, their comments and in the text, against what `moco COMMAND --help` lists,
names among their values too; options, tests and targets of Meson against what the build has; scripts
and jobs; files that are named, links and their anchors; Chinese pages show their English pages'
commands.
"""
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

from markdown import pages

ROOT = Path(__file__).resolve().parents[2]
TREE = re.compile(r"(\.ci|bench|cross|debian|docs|engine|include|packaging|simd|tests)/[\w./-]+")
HELP = ("--man", "--bash", "--zsh")  # what `moco help` takes
PLACEHOLDER = re.compile(r"[A-Z]+[0-9]?")


def output(*argv):
    return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE).stdout


class Moco:
    """Commands, and of each the options: name -> (kind of value, help)."""

    def __init__(self, binary):
        self.commands = {name: self.options(binary, name) for name in
                         re.findall(r"^  moco (\w+)", output(binary, "help"), re.M)}

    @staticmethod
    def options(binary, command):
        listed = {"--help": ("", "")}
        row = re.compile(r"^  (--?[a-z0-9-]+)(?: ([A-Z][A-Z0-9-]*))? +(.*(?:\n {10,}.*)*)", re.M)
        for name, kind, text in row.findall(output(binary, command, "--help")):
            listed[name] = (kind, text)
            if not kind:
                listed["--no-" + name[2:]] = ("", text)
        return listed

    def find(self, option, command=None):
        asked = [command] if command else self.commands
        return [self.commands[c][option] for c in asked if option in self.commands[c]]

    def wrong_options(self, words, command=None):
        """Options that the command (any, without one) does not have, values that it does not name."""
        for i, word in enumerate(words):
            option = word.split("=")[0].strip("[](),;:.")
            if not re.fullmatch(r"--?[a-z][a-z0-9-]*", option):
                continue
            found = self.find(option, command)
            if not found:
                yield f"no option {option}" + (f" of moco {command}" if command else "")
                continue
            following = words[i + 1].strip("[](),;:.") if i + 1 < len(words) else ""
            if following and not following.startswith("-"):
                yield from wrong_value(option, following, found)

    def wrong_help(self, words):
        """Of moco help, whose words are commands."""
        for word in words:
            if word.startswith("-") and word not in HELP:
                yield f"moco help has no {word}"
            elif not word.startswith("-") and not self.known(word):
                yield f"moco help has no {word}"

    def known(self, command):
        return command in self.commands or PLACEHOLDER.fullmatch(command)

    def wrong(self, words):
        """words: what follows `moco`."""
        if not words or words[0] == "-":
            return
        if words[0] == "help":
            yield from self.wrong_help(words[1:])
        elif not words[0].startswith("-") and not self.known(words[0]):
            yield f"no command {words[0]}"
        else:
            yield from self.wrong_options(words[1:], words[0] if words[0] in self.commands else None)


def wrong_value(option, value, found):
    """A value of an option whose help lists the names."""
    if PLACEHOLDER.fullmatch(value) or any(kind != "NAME" for kind, _ in found):
        return
    for name in value.split("|"):
        names = [re.findall(r"[\w-]+", text) for _, text in found]
        if not any(name.split(":")[0] in n for n in names):
            yield f"{option} has no value {name}"


class Build:
    """What Meson knows."""

    def __init__(self, folder):
        def ask(what):
            return json.loads(output("meson", "introspect", "--" + what, str(folder)))

        self.options = {row["name"]: row for row in ask("buildoptions")}
        self.tests = {row["name"] for row in ask("tests")}
        targets = ask("targets")
        self.targets = {row["name"] for row in targets} | {
            os.path.relpath(f, folder) for row in targets for f in row["filename"]}
        self.help = {c: output("meson", c, "--help") for c in ("setup", "test", "install", "compile")}

    def wrong_definition(self, word):
        """-Dname or -Dname=value"""
        name, _, value = word[2:].partition("=")
        if name not in self.options:
            yield f"Meson has no option {name}"
            return
        row = self.options[name]
        choices = ["true", "false"] if row["type"] == "boolean" else row.get("choices")
        if value and choices and row["type"] != "array" and value not in choices:
            yield f"-D{name} is none of {', '.join(choices)}: {value}"

    def wrong_meson(self, words):
        """words: what follows `meson`."""
        if words[0] not in self.help:
            yield f"nobody checks meson {words[0]}"
            return
        values = ("-C", "--native-file", "--cross-file", "--num-processes")
        names = []
        for before, word in zip(words, words[1:]):
            if word.startswith("-D"):
                yield from self.wrong_definition(word)
            elif word.startswith("--") and word.split("=")[0] not in self.help[words[0]]:
                yield f"meson {words[0]} has no {word}"
            elif not word.startswith("-") and before not in values:
                names.append(word)
        for name in names if words[0] == "test" else []:
            if name not in self.tests and not re.search("[A-Z]", name):
                yield f"no test {name}"

    def wrong_ninja(self, words):
        for before, word in zip(["", *words], words):
            if not word.startswith("-") and before not in ("-C", "-j") and word not in self.targets:
                yield f"no target {word}"


def wrong_script(words, jobs):
    """A script of the tree, with its options and, of .ci/run, jobs."""
    path = ROOT / words[0]
    if not path.is_file() or not os.access(path, os.X_OK):
        yield f"{words[0]} is no script"
        return
    text = path.read_text()
    options = re.findall(r"--[a-z][a-z-]*", text)
    for word in words[1:]:
        if word.startswith("--") and word.split("=")[0] not in options:
            yield f"{words[0]} has no {word}"
        elif words[0] == ".ci/run" and not word.startswith("-") and word not in jobs:
            yield f"no job {word}"
        elif words[0] == "./quickstart" and word.islower() and f"\n{word})" not in text:
            yield f"./quickstart has no {word}"
        elif words[0] == "cross/prepare" and word in words[1:2] and word.islower():
            if not (ROOT / f"cross/{word}-linux-gnu.ini").exists():
                yield f"no cross file for {word}"


def wrong_packages(words):
    """A package of ours carries the version of include/moco.h."""
    header = (ROOT / "include/moco.h").read_text()
    version = ".".join(re.findall(r"#define MOCO_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header))
    for word in words:
        if word.startswith("../") and f"_{version}_" not in word:
            yield f"{word} is not of version {version}"


class Checker:
    def __init__(self, build):
        self.moco, self.build = Moco(str(build / "moco")), Build(build)
        self.jobs = output(str(ROOT / ".ci/run"), "--list").split()
        self.passed = 0

    def tell(self, place, what, problems):
        problems = list(problems)
        self.passed += not problems
        for problem in problems:
            print(f"FAILED: {place}: {what}: {problem}")

    def simple(self, words):
        """One command, without what && joins."""
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if not words:
            return []
        if words[0] == "moco":
            return self.moco.wrong(words[1:])
        if words[0] == "meson":
            return self.build.wrong_meson(words[1:])
        if words[0] == "ninja":
            return self.build.wrong_ninja(words[1:])
        if words[0] == "apt-get":
            return wrong_packages(words[1:])
        if "/" in words[0]:
            return wrong_script(words, self.jobs)
        return [] if words[0] in ("cc", "dpkg-buildpackage") else [f"nobody checks {words[0]}"]

    def command(self, command):
        for part in re.split(r" && ", command.text):
            self.tell(command.place, part, self.simple(part.split()))
        words = command.comment.split()
        if command.text.startswith("moco "):
            self.tell(command.place, command.comment,
                      self.moco.wrong_options(words, command.text.split()[1]))
        self.definitions(command.place, command.comment)

    def definitions(self, place, text):
        for word in re.findall(r"-D[a-z]\w*(?:=[a-z]\w*)?", text):
            self.tell(place, word, self.build.wrong_definition(word))

    def span(self, place, text):
        first = text.split(" ")[0]
        moco = re.search(r'(?:^|["(])moco ([^|)"]*)', text)
        if moco:
            self.tell(place, text, self.moco.wrong(moco[1].split()))
        elif first.startswith("-D"):
            self.definitions(place, text)
        elif first.startswith("--"):
            self.tell(place, text, self.anybodys(text.split()))
        elif first in ("meson", "ninja", ".ci/run", "./quickstart") or TREE.fullmatch(first):
            self.named(place, text)

    def anybodys(self, words):
        """Options by themselves, of moco or of another program that the documents show."""
        others = {*re.findall("--[a-z-]+", self.build.help["setup"]), *HELP, "--list"}
        return self.moco.wrong_options([word for word in words if word not in others])

    def named(self, place, text):
        """A command, or a file; a test program goes by its source's name, a family by its folder's."""
        words = text.split()
        if "/" in words[0] and len(words) == 1 and words[0] != "./quickstart":
            found = (ROOT / words[0]).exists() or list(ROOT.glob(words[0] + "*"))
            self.tell(place, text, [] if found else ["no such file"])
        elif len(words) > 1 or words[0] in (".ci/run", "./quickstart"):
            for part in text.split(" && "):
                self.tell(place, part, self.simple(part.split()) if part != "meson setup" else [])

    def link(self, page, place, target, anchors):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            return
        file = (page.path.parent / unquote(path)).resolve() if path else page.path
        if not file.exists():
            self.tell(place, target, ["no such file"])
        else:
            lost = anchor and file in anchors and unquote(anchor) not in anchors[file]
            self.tell(place, target, ["no such heading"] if lost else [])


def translated(all_pages, checker):
    """The blocks of a page in Chinese hold the commands of the page that it follows."""
    by_name = {page.name: [c.text for c in page.commands()] for page in all_pages}
    for name in by_name:
        english = by_name.get(name.replace(".zh-CN", ""))
        if english is not by_name[name]:
            missing = [f"lacks `{c}`" for c in english or [] if c not in by_name[name]]
            extra = [f"alone has `{c}`" for c in by_name[name] if c not in (english or [])]
            checker.tell(name, "commands", missing + extra)


def main(build):
    checker, all_pages = Checker(build), pages(ROOT)
    anchors = {page.path: set(page.anchors()) for page in all_pages}
    for page in all_pages:
        for command in page.commands():
            checker.command(command)
        for place, text in page.spans():
            checker.span(place, text)
        for place, target in page.links():
            checker.link(page, place, target, anchors)
    translated(all_pages, checker)
    print(f"passed: {checker.passed}")


main(Path(sys.argv[1]).resolve())
