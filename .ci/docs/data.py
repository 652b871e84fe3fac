"""data.py: small data of every kind that the documents name, made without a library.

Images of a class share a colour and the direction of their stripes, and differ in phase and noise,
so that what is trained on them has something to find. Every set is the same on every machine.
"""
import gzip
import math
import random
import struct
import zlib
from pathlib import Path

CLASSES = ("bird", "cat", "dog")


def plane(label, channel, height, width, rng, phase):
    """Grey values (height * width) of one channel, 0 to 255: stripes on a colour, and noise."""
    angle = math.pi * label / 5
    step = (math.cos(angle) * 0.9, math.sin(angle) * 0.9)
    base = 70 + 37 * ((label * 3 + channel) % 4)
    row = [[40 * math.sin(phase + step[0] * y + step[1] * x) for x in range(width)]
           for y in range(height)]
    return [max(0, min(255, int(base + value + rng.random() * 16))) for line in row for value in line]


def image(label, channels, height, width, rng):
    """Planes of one image, (channels, height * width)."""
    phase = rng.random() * 6.28
    return [plane(label, c, height, width, rng, phase) for c in range(channels)]


def png(path, planes, width):
    """RGBA, 8 bit: three planes, and an alpha that fades to the right."""
    alpha = [255 - 100 * (i % width) // width for i in range(len(planes[0]))]
    pixels = bytes(value for pixel in zip(*planes, alpha) for value in pixel)
    height = len(planes[0]) // width
    lines = b"".join(b"\0" + pixels[y * width * 4:(y + 1) * width * 4] for y in range(height))

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(
            ">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
                     chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def folder(root, each, seed):
    """A folder a class, images of unequal sizes; the first has a side above 256."""
    rng = random.Random(seed)
    for label, name in enumerate(CLASSES):
        for i in range(each):
            height, width = (24 + rng.randrange(16) for _ in range(2))
            if (i, label) == (0, 0):
                height, width = 260, 300
            png(root / name / f"{i:03}.png", image(label, 3, height, width, rng), width)


def npy(path, shape, values, kind):
    """Version 1.0 of the format; kind is u1, u2 or i8."""
    code = {"u1": "B", "u2": "H", "i8": "q"}[kind]
    descr = "|u1" if kind == "u1" else "<" + kind
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() +
                     struct.pack(f"<{len(values)}{code}", *values))


def arrays(images, labels, n, channels, side, kind, seed, views=0):
    """Images (n, [views,] channels, side, side) and labels (n) of three classes."""
    rng = random.Random(seed)
    scale = 257 if kind == "u2" else 1
    values = [value * scale for i in range(n) for _ in range(max(views, 1))
              for one in image(i % len(CLASSES), channels, side, side, rng) for value in one]
    npy(images, (n, views, channels, side, side) if views else (n, channels, side, side), values,
        kind)
    if labels:
        npy(labels, (n,), [i % len(CLASSES) for i in range(n)], "i8")


def cifar10(root, each, tests, seed):
    """Five training files and a test file of the binary version."""
    rng = random.Random(seed)
    root.mkdir(parents=True, exist_ok=True)
    for name, n in [*((f"data_batch_{i}.bin", each) for i in range(1, 6)), ("test_batch.bin", tests)]:
        records = (bytes([i % 10]) + bytes(sum(image(i % 10, 3, 32, 32, rng), [])) for i in range(n))
        (root / name).write_bytes(b"".join(records))


def idx(root, stem, n, seed):
    """Grey images of 28 x 28 and their labels, gzipped, under MNIST's names."""
    rng = random.Random(seed)
    root.mkdir(parents=True, exist_ok=True)
    pixels = b"".join(bytes(image(i % 10, 1, 28, 28, rng)[0]) for i in range(n))
    for name, magic, shape, body in [
            (f"{stem}-images-idx3-ubyte.gz", 0x803, (n, 28, 28), pixels),
            (f"{stem}-labels-idx1-ubyte.gz", 0x801, (n,), bytes(i % 10 for i in range(n)))]:
        head = struct.pack(f">{1 + len(shape)}I", magic, *shape)
        (root / name).write_bytes(gzip.compress(head + body, mtime=0))


def make(root):
    """All sets, each in a folder of its own under root."""
    folder(root / "photos", 16, 1)
    folder(root / "other", 6, 1)  # its first class is of the photos
    folder(root / "split" / "train", 12, 3)
    folder(root / "split" / "test", 6, 4)
    folder(root / "first", 12, 5)
    folder(root / "second", 12, 6)
    cifar10(root / "cifar", 128, 60, 7)
    idx(root / "digits", "train", 320, 8)
    idx(root / "digits", "t10k", 60, 9)
    arrays(root / "cells" / "x.npy", root / "cells" / "y.npy", 96, 3, 40, "u2", 10)
    arrays(root / "bands" / "x.npy", root / "bands" / "y.npy", 60, 156, 9, "u2", 11)
    arrays(root / "X.npy", root / "Y.npy", 96, 3, 32, "u1", 12)
    arrays(root / "X2.npy", root / "Y2.npy", 48, 3, 32, "u1", 13)
    arrays(root / "channels.npy", None, 64, 13, 24, "u2", 14)
    arrays(root / "views.npy", None, 64, 3, 24, "u1", 15, views=3)


if __name__ == "__main__":
    import sys
    make(Path(sys.argv[1]))
