#!/usr/bin/env python3
"""bench/peers/train.py DIR [--rounds 2] [--epochs 1]: training from images, moco beside PyTorch.

DIR holds data_batch_*.bin of CIFAR-10's binary form; without DIR 10,000 images of noise are written
into a folder that is gone afterwards. Both sides train a ResNet-18 of width 16 by the public CIFAR
recipe (views with crop, flip, jitter and grey, BatchNorm in 8 groups, shuffled keys, batch 128, 4096
keys) on all cores that this process may use: moco with its loader, PyTorch with torchvision's PIL
transforms in two DataLoader workers, tcmalloc preloaded where it is and OMP_WAIT_POLICY=PASSIVE,
which is its fastest set-up. Rounds alternate; images/s of an epoch, evaluation left out, the first
epoch's start included. PYTHON names an interpreter with torch and torchvision.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOCO = ROOT / "build" / "moco"
BATCH, KEYS, GROUPS, WIDTH = 128, 4096, 8, 16


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("dir", nargs="?")
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--epochs", type=int, default=1)
    p.add_argument("--precision", default="fp32", help="of moco: fp32 or bf16")
    p.add_argument("--peer", action="store_true", help="be the peer: one run, images/s as JSON")
    return p.parse_args()


# ---- the peer ----

def read_images(numpy, folder):
    records = numpy.concatenate([numpy.fromfile(f, numpy.uint8) for f in
                                 sorted(glob.glob(os.path.join(folder, "data_batch_*.bin")))])
    planes = records.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
    return numpy.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def make_groups(torch, net):
    """Each BatchNorm takes its statistics over every GROUPS-th image."""
    class Grouped(torch.nn.BatchNorm2d):
        def forward(self, x):
            if not self.training:
                return super().forward(x)
            n, c, h, w = x.shape
            mean, var = (s.repeat(GROUPS) for s in (self.running_mean, self.running_var))
            y = torch.nn.functional.batch_norm(
                x.reshape(n // GROUPS, GROUPS * c, h, w), mean, var, self.weight.repeat(GROUPS),
                self.bias.repeat(GROUPS), True, self.momentum, self.eps)
            with torch.no_grad():
                self.running_mean.copy_(mean.view(GROUPS, c).mean(0))
                self.running_var.copy_(var.view(GROUPS, c).mean(0))
            return y.reshape(n, c, h, w)

    for name, child in list(net.named_children()):
        if isinstance(child, torch.nn.BatchNorm2d):
            setattr(net, name, Grouped(child.num_features))
        else:
            make_groups(torch, child)
    return net


def pairs(torch, images):
    from PIL import Image
    from torchvision import transforms
    view = transforms.Compose([
        transforms.RandomResizedCrop(32), transforms.RandomHorizontalFlip(),
        transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
        transforms.RandomGrayscale(p=0.2), transforms.ToTensor(),
        transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))])

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            image = Image.fromarray(images[index])
            return view(image), view(image)
    return torch.utils.data.DataLoader(Pairs(), BATCH, shuffle=True, num_workers=2,
                                       drop_last=True, persistent_workers=True)


def train_peer(a):
    import copy
    import numpy
    import torch
    from peer import network
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    normalize = torch.nn.functional.normalize
    f_q = make_groups(torch, network(torch, f"resnet18-{WIDTH}")[0])
    f_q = f_q.to(memory_format=torch.channels_last)
    f_k = copy.deepcopy(f_q)
    sgd = torch.optim.SGD(f_q.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
    queue, at = normalize(torch.randn(128, KEYS), dim=0), 0
    target = torch.zeros(BATCH, dtype=torch.long)
    loader, done, start = pairs(torch, read_images(numpy, a.dir)), 0, time.perf_counter()
    for _ in range(a.epochs):
        for x_q, x_k in loader:
            x_q, x_k = (x.to(memory_format=torch.channels_last) for x in (x_q, x_k))
            q = normalize(f_q(x_q), dim=1)
            with torch.no_grad():
                for p_q, p_k in zip(f_q.parameters(), f_k.parameters()):
                    p_k.lerp_(p_q, 0.01)
                order = torch.randperm(BATCH)
                k = normalize(f_k(x_k[order]), dim=1)[torch.argsort(order)]
            logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.clone()], dim=1) / 0.1
            loss = torch.nn.functional.cross_entropy(logits, target)
            sgd.zero_grad(set_to_none=True)
            loss.backward()
            sgd.step()
            queue[:, at:at + BATCH] = k.T
            at = (at + BATCH) % KEYS
            done += BATCH
    print(json.dumps({"images_s": done / (time.perf_counter() - start)}))


# ---- both ----

def noise(folder):
    import random
    generator = random.Random(0)
    with open(Path(folder) / "data_batch_1.bin", "wb") as out:
        for i in range(10000):
            out.write(bytes([i % 10]) + generator.randbytes(3072))


def ours(a):
    with tempfile.TemporaryDirectory() as run:
        command = [MOCO, "train", f"cifar10:{a.dir}:train", "--preset", "cifar-demo", "--width",
                   str(WIDTH), "--batch-size", str(BATCH), "--epochs", str(a.epochs),
                   "--precision", a.precision, "--json", "--out", run + "/run"]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        rows = (Path(run) / "run" / "log.csv").read_text().splitlines()
    names = rows[0].split(",")
    steps = int(rows[-1].split(",")[names.index("step")])
    return steps * BATCH / seconds


def theirs(a):
    env = dict(os.environ, OMP_WAIT_POLICY="PASSIVE")
    malloc = glob.glob("/usr/lib/*/libtcmalloc.so.4") + \
        glob.glob("/usr/lib/*/libtcmalloc_minimal.so.4")
    if malloc:
        env["LD_PRELOAD"] = malloc[0]
    out = subprocess.run([os.environ.get("PYTHON", sys.executable), __file__, a.dir, "--peer",
                          "--epochs", str(a.epochs)], env=env, check=True, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return json.loads(out.strip().splitlines()[-1])["images_s"]


def compare(a):
    rates = {"moco": [], "PyTorch": []}
    for _ in range(a.rounds):
        rates["moco"].append(ours(a))
        rates["PyTorch"].append(theirs(a))
    for name, values in rates.items():
        print(f"{name}: {statistics.median(values):.0f} images/s "
              f"({min(values):.0f}-{max(values):.0f})")
    print(f"ratio: {statistics.median(rates['moco']) / statistics.median(rates['PyTorch']):.2f}")


def main():
    a = options()
    if a.peer:
        return train_peer(a)
    if a.dir:
        return compare(a)
    with tempfile.TemporaryDirectory() as folder:
        a.dir = folder
        noise(folder)
        return compare(a)


if __name__ == "__main__":
    main()
