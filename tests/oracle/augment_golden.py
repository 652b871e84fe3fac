"""Records tests/golden/augment/*.bin: what torchvision v2 makes of given view parameters.

Each case is drawn by hand or from a fixed seed, applied with torchvision's functional operations on
a float32 tensor in [0, 1] in MoCo's order (crop and resize, jitter, grey, blur, flip), and stored
before normalisation. Little-endian, case after case until the end of the file:

  int32    channels, h, w, side, top, left, height, width, flip, jitter, order[4], grey,
           blur_kernel (0: no blur)
  float32  factor[4] (brightness, contrast, saturation, hue), sigma
  uint8    input (channels, h, w), to be divided by 255
  float32  expected (channels, side, side)

height = 0 marks the evaluation view: shorter side to `side`, centre crop. This is views.bin.
views2.bin has the operations that came later, with more numbers before the input:

  int32    flip_vertical, turns (torch.rot90), solarise, aliased (no antialiasing)
  float32  angle in degrees against the clock, threshold

in the order crop and resize, flips, turns, rotation, jitter, grey, blur, solarisation. Both files
have a generator of their own, so a new case at the end of a list leaves the others as they were.
Usage: python tests/oracle/augment_golden.py OUT_DIR (needs torch and torchvision)
"""

import struct
import sys

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
NATURAL = (BRIGHTNESS, CONTRAST, SATURATION, HUE)
generator = torch.Generator().manual_seed(20)


def picture(channels, h, w):
    """Half noise, half smooth; some grey, black and saturated pixels (the special cases of HSV)."""
    noise = torch.rand(channels, h, w, generator=generator)
    coarse = torch.rand(channels, 4, 4, generator=generator)
    x = (0.5 * noise + 1.1 * F.resize(coarse, [h, w]) - 0.3).clamp(0, 1)
    x[:, 0, :] = x[:1, 0, :]
    x[:, 1, ::2] = 0
    x[:, 1, 1::2] = 1
    if channels == 3:
        corners = torch.tensor([[1.0, 0, 0, 1, 1, 0], [0, 1, 0, 1, 0, 1], [0, 0, 1, 0, 1, 1]])
        x[:, 2, :6] = corners
    return (x * 255).round().to(torch.uint8)


def jitter(x, order, factor):
    parts = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    neutral = (1, 1, 1, 0)
    for part in order:
        if factor[part] != neutral[part]:
            x = parts[part](x, factor[part])
    return x


def case(channels=3, h=18, w=20, side=16, crop=None, flip=0, order=NATURAL, factor=None, grey=0,
         kernel=0, sigma=0.0, plain=False):
    pixels = picture(channels, h, w)
    x = pixels.to(torch.float32) / 255
    crop = (0, 0, 0, 0) if plain else crop or (1, 2, h - 2, w - 2)
    # Factors as the reader sees them, rounded to float32.
    values = struct.unpack("<5f", struct.pack("<5f", *(factor or (1, 1, 1, 0)), sigma))
    if plain:
        x = F.center_crop(F.resize(x, [side], antialias=True), [side, side])
    else:
        x = F.resized_crop(x, *crop, size=[side, side], antialias=True)
    if factor:
        x = jitter(x, order, values[:4])
    if grey:
        x = F.rgb_to_grayscale(x, num_output_channels=3)
    if kernel:
        x = F.gaussian_blur(x, [kernel, kernel], [values[4], values[4]])
    if flip:
        x = F.horizontal_flip(x)
    head = struct.pack("<16i", channels, h, w, side, *crop, flip, int(bool(factor)), *order, grey,
                       kernel)
    body = x.contiguous().numpy().astype("<f4").tobytes()
    return head + struct.pack("<5f", *values) + pixels.numpy().tobytes() + body


def later_case(channels=3, h=18, w=20, side=16, crop=None, flip=0, vertical=0, turns=0, angle=0.0,
               factor=None, grey=0, kernel=0, sigma=0.0, threshold=None, antialias=True):
    pixels = picture(channels, h, w)
    crop = crop or (1, 2, h - 2, w - 2)
    values = struct.unpack("<7f", struct.pack("<7f", *(factor or (1, 1, 1, 0)), sigma, angle,
                                              threshold or 0))
    x = F.resized_crop(pixels.to(torch.float32) / 255, *crop, size=[side, side],
                       antialias=antialias)
    if flip:
        x = F.horizontal_flip(x)
    if vertical:
        x = F.vertical_flip(x)
    x = torch.rot90(x, turns, [1, 2])
    if angle:
        x = F.rotate(x, values[5], interpolation=InterpolationMode.BILINEAR)
    if factor:
        x = jitter(x, NATURAL, values[:4])
    if grey:
        x = F.rgb_to_grayscale(x, num_output_channels=3)
    if kernel:
        x = F.gaussian_blur(x, [kernel, kernel], [values[4], values[4]])
    if threshold is not None:
        x = F.solarize(x, values[6])
    head = struct.pack("<16i", channels, h, w, side, *crop, flip, int(bool(factor)), *NATURAL, grey,
                       kernel)
    later = struct.pack("<4i", vertical, turns, int(threshold is not None), int(not antialias))
    body = x.contiguous().numpy().astype("<f4").tobytes()
    return (head + struct.pack("<5f", *values[:5]) + later + struct.pack("<2f", *values[5:])
            + pixels.numpy().tobytes() + body)


def cases():
    yield case(h=32, w=32, side=32, crop=(0, 0, 32, 32))
    yield case(h=40, w=36, side=32, crop=(0, 0, 40, 36))
    yield case(h=40, w=36, side=32, crop=(3, 5, 33, 31))
    yield case(h=32, w=32, side=32, crop=(9, 4, 13, 17), flip=1)
    yield case(h=32, w=32, side=32, crop=(31, 31, 1, 1))
    yield case(h=32, w=32, side=32, crop=(5, 0, 2, 32))
    yield case(channels=1, h=90, w=110, side=32, crop=(0, 0, 90, 110), flip=1)
    yield case(channels=1, h=90, w=110, side=32, crop=(11, 7, 64, 96))
    yield case(channels=1, h=97, w=131, side=64, crop=(2, 1, 91, 129))
    yield case(channels=1, h=40, w=36, side=64, crop=(7, 3, 21, 30), flip=1)
    yield case(channels=1, h=70, w=64, side=64, crop=(6, 0, 64, 64), flip=1)
    yield case(channels=5, h=40, w=36, side=16, crop=(4, 1, 33, 29), flip=1)
    yield case(channels=5, side=24, crop=(4, 1, 11, 19), kernel=5, sigma=1.1)
    yield case(channels=1, side=24, kernel=3, sigma=0.4)
    yield case(channels=1, factor=(1.3, 0.7, 1, 0))
    yield case(channels=1, factor=(0.6, 1.9, 1, 0), order=(CONTRAST, BRIGHTNESS, HUE, SATURATION))
    for value in (0.0, 0.6, 1.4):
        yield case(factor=(value, 1, 1, 0))
        yield case(factor=(1, value, 1, 0))
        yield case(factor=(1, 1, value, 0))
    for value in (-0.5, -0.4, -0.1, 0.1, 0.25, 0.4, 0.5):
        yield case(factor=(1, 1, 1, value))
    for _ in range(7):
        order = torch.randperm(4, generator=generator).tolist()
        u = torch.rand(4, generator=generator).tolist()
        yield case(factor=(0.6 + 0.8 * u[0], 0.6 + 0.8 * u[1], 0.6 + 0.8 * u[2], 0.2 * u[3] - 0.1),
                   order=order, flip=int(u[0] > 0.5), grey=int(u[1] > 0.7))
    yield case(grey=1)
    yield case(grey=1, flip=1)
    for kernel, sigma in ((3, 0.1), (3, 0.5), (3, 2.0), (5, 1.0), (9, 2.0), (23, 2.0), (31, 0.7)):
        yield case(kernel=kernel, sigma=sigma)
    yield case(factor=(1.4, 0.6, 1.2, -0.1), order=(3, 2, 0, 1), grey=1, kernel=3, sigma=1.5,
                   flip=1)
    yield case(factor=(0.7, 1.4, 0.8, 0.1), order=(1, 3, 2, 0), kernel=7, sigma=0.9, flip=1)
    for h, w, side in ((16, 16, 16), (20, 33, 16), (37, 20, 16), (11, 14, 16), (19, 16, 16)):
        yield case(h=h, w=w, side=side, plain=True)
    yield case(channels=5, h=25, w=24, side=16, plain=True)


def later_cases():
    for h, w, side, crop in ((40, 36, 16, (3, 5, 33, 31)), (90, 70, 16, (0, 0, 90, 70)),
                             (18, 20, 24, (4, 1, 11, 19)), (32, 32, 16, (31, 31, 1, 1)),
                             (33, 47, 32, (1, 0, 32, 47)), (40, 16, 16, (0, 0, 40, 16))):
        yield later_case(channels=1, h=h, w=w, side=side, crop=crop, antialias=False)
    yield later_case(h=50, w=60, crop=(7, 9, 41, 37), antialias=False, flip=1, vertical=1)
    yield later_case(vertical=1)
    yield later_case(channels=5, h=25, w=21, vertical=1, flip=1)
    for turns in range(4):
        for flip, vertical in ((0, 0), (1, 0), (0, 1)):
            yield later_case(channels=1, turns=turns, flip=flip, vertical=vertical)
    yield later_case(h=40, w=44, turns=3, flip=1, vertical=1)
    for angle in (-180, -133.7, -90, -45, -10, -0.4, 0.1, 7.5, 30, 45, 90, 121, 180):
        yield later_case(channels=1, angle=angle)
    for side, angle in ((15, 33.0), (32, -71.3), (48, 12.0)):
        yield later_case(channels=1, h=40, w=50, side=side, angle=angle)
    yield later_case(channels=4, angle=20, turns=1, flip=1)
    for threshold in (0.0, 0.25, 0.5, 0.9):
        yield later_case(threshold=threshold)
    # Pixels equal to the threshold, which a resize would leave to rounding.
    yield later_case(h=16, w=16, crop=(0, 0, 16, 16), threshold=1.0)
    yield later_case(grey=1, threshold=0.5)
    yield later_case(h=33, w=47, flip=1, vertical=1, turns=3, angle=-17.25,
                     factor=(1.2, 0.8, 1.3, 0.05), kernel=5, sigma=0.8, threshold=0.6,
                     antialias=False)
    yield later_case(h=47, w=33, vertical=1, turns=1, angle=101.5, factor=(0.7, 1.4, 0.8, -0.1),
                     grey=1, kernel=3, sigma=1.5, threshold=0.4)


def record(path, seed, records):
    generator.manual_seed(seed)
    records = list(records)
    with open(path, "wb") as out:
        out.write(b"".join(records))
    print(path, len(records), "cases,", sum(map(len, records)), "bytes")


if __name__ == "__main__":
    record(sys.argv[1] + "/views.bin", 20, cases())
    record(sys.argv[1] + "/views2.bin", 21, later_cases())
