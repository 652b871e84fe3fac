"""run.py MOCO SCRATCH: runs every command of moco that the documents show, on small data.

A page's commands run in order in one folder. Names like DIR stand there for data of the kind that the
command asks for (data.py). Options that shorten a run are added behind the documented ones and win
over them. A command must end well, write what it was told to write, and be told by no word of moco's
that one of its options has no effect.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import data
from markdown import pages

ROOT = Path(__file__).resolve().parents[2]
SMALL = "--width 8 --side 16 --batch-size 16 --moco-k 64 --moco-dim 16 --epochs 2".split()
SHORTER = {
    "train": SMALL,
    "bench": SMALL,
    "compare": "--width 8 --side 16 --moco-dim 16 --seeds 1".split(),
    "finetune": "--epochs 1".split(),
}
WRITTEN = {"train": "weights.safetensors", "compare": "study.md"}
LIMIT = 120  # seconds of a command


def kind(command):
    """The set that DIR stands for."""
    for part, name in [("cifar10:DIR", "cifar"), ("idx:DIR", "digits"), ("folder:DIR/", "split")]:
        if part in command.text:
            return name
    if "npy:DIR" in command.text:
        return "bands" if "--channel-drop" in command.block else "cells"
    return "photos"


def samples(command):
    """The file that X.npy stands for: what is only trained on may have any number of channels."""
    if "X.npy:views" in command.text:
        return "views.npy"
    return "channels.npy" if re.search(r"train npy:X\.npy( |$)", command.text) else "X.npy"


def place(folder, sets, command):
    names = {"DIR": kind(command), "DIR2": "other", "A": "first", "B": "second", "DATA": "photos",
             "X.npy": samples(command), "Y.npy": "Y.npy", "X2.npy": "X2.npy", "Y2.npy": "Y2.npy"}
    folder.mkdir(exist_ok=True)
    for name, target in names.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(sets / target)


def shorter(words):
    added = SHORTER.get(words[1], [])
    if "--resume" in words:  # a run that takes long enough to be interrupted
        added = added + ["--epochs", "20"]
    if words[1] == "compare":
        added = added + (["--minutes", "0.0001"] if "--minutes" in words else ["--epochs", "1"])
        if value(words, "--study") == "labels":  # what follows from the images of CIFAR-10
            added += ["--batch-size", "128"]
    return added


def value(words, option):
    return words[words.index(option) + 1] if option in words[:-1] else None


def begun(argv, folder):
    """Starts a run and interrupts it behind its first checkpoint; whether that came in time."""
    out = folder / value(argv, "--out")
    for _ in range(5):
        shutil.rmtree(out, ignore_errors=True)
        run = subprocess.Popen([w for w in argv if w != "--resume"] + ["--checkpoint-every", "1"],
                               cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (out / "checkpoint.safetensors").exists() and run.poll() is None:
            time.sleep(0.001)
        run.send_signal(signal.SIGINT)
        if run.wait() == 130:
            return True
    return False


def wrong(words, folder, result):
    """What a command that ran left to be desired, in words."""
    if result.returncode:
        return f"exit status {result.returncode}"
    for name in re.findall(r"(--[a-z0-9-]+) has no effect", result.stdout):
        if name in words:
            return f"{name} has no effect"
    for option in ("-o", "--pack"):
        name = value(words, option)
        if name and not (folder / name).exists():
            return f"{name} was not written"
    out = value(words, "--out")
    if out and not (folder / out / WRITTEN[words[1]]).exists():
        return f"no {WRITTEN[words[1]]} in {out}"
    return ""


def attempt(moco, folder, command):
    words = command.words()
    added = shorter(words)
    argv = [moco, *words[1:], *added]
    for option in ("-o", "--pack"):
        if value(words, option):
            (folder / value(words, option)).unlink(missing_ok=True)
    if "--resume" in words:
        if not begun(argv, folder):
            return added, "the run before it could not be interrupted", ""
    elif value(words, "--out"):  # a block's commands are choices: each has the folder for itself
        shutil.rmtree(folder / value(words, "--out"), ignore_errors=True)
    try:
        result = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT)
        return added, wrong(words, folder, result), result.stdout
    except subprocess.TimeoutExpired as e:
        return added, f"still running after {LIMIT} s", (e.stdout or b"").decode()


def main(moco, scratch):
    os.environ["LC_ALL"] = "C.UTF-8"
    data.make(scratch / "sets")
    for page in pages(ROOT):
        folder = scratch / page.name.replace("/", "-")
        for command in page.commands():
            if not command.text.startswith("moco "):
                continue
            place(folder, scratch / "sets", command)
            start = time.monotonic()
            added, problem, output = attempt(moco, folder, command)
            line = f"{command.place}: {command.text}" + (f"  (+ {' '.join(added)})" if added else "")
            if problem:
                print("\n".join(output.splitlines()[-10:]))
            print(f"FAILED: {line}: {problem}" if problem else
                  f"ok     {line}: {time.monotonic() - start:.1f} s", flush=True)


main(str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve())
