#!/usr/bin/env python3
"""One measurement of what a user would run instead, printed as one line of JSON.

  peer.py CASE [--threads 2] [--runs 7]

Cases: infonce-eager, infonce-compiled, infonce-chunked, infonce-mkl, infonce-openblas (each with
--n and --k), logits-torch, logits-numpy, softmax, ema, sgd-ema, knn-torch, knn-faiss (with --dim),
augment-cifar, augment-jpeg (one thread), step (with --model resnet18-64, resnet18-16, resnet50;
--bf16, --compile, --layout nchw|nhwc). Times are milliseconds (of a view or an image for augment):
the median of the runs after a warm-up, and their spread.

`peer.py files` only writes the JPEG files, into the folder that MOCO_BENCH_JPEGS names; `peer.py
versions` prints what is installed.
"""
import argparse
import json
import os
import random
import statistics
import time

DIM, TEMPERATURE = 128, 0.07


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("case")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--runs", type=int, default=7)
    p.add_argument("--n", type=int, default=256)
    p.add_argument("--k", type=int, default=65536)
    p.add_argument("--dim", type=int, default=128)
    p.add_argument("--model", default="resnet18-64")
    p.add_argument("--bf16", action="store_true")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--layout", default="nhwc")
    return p.parse_args()


def unit_rows(torch, rows, dim):
    return torch.nn.functional.normalize(torch.randn(rows, dim), dim=1)


def infonce(torch, a, variant):
    """InfoNCE of n queries against k keys, loss and gradient with respect to the queries."""
    q, pos, keys = (unit_rows(torch, r, DIM) for r in (a.n, a.n, a.k))
    queue = keys.t().contiguous()  # (dim, k), as the published code keeps it
    zeros = torch.zeros(a.n, dtype=torch.long)

    def loss(x):
        positive = torch.einsum("nc,nc->n", x, pos).unsqueeze(1)
        negative = torch.einsum("nc,ck->nk", x, queue.clone().detach())
        logits = torch.cat([positive, negative], dim=1) / TEMPERATURE
        return torch.nn.functional.cross_entropy(logits, zeros)

    def eager(of=loss):
        of(q.detach().requires_grad_()).backward()

    def compiled():
        fast = torch.compile(loss, dynamic=False)
        return lambda: eager(fast)

    def chunked():
        total = torch.zeros(a.n)
        grad = torch.zeros(a.n, DIM)
        shift = 1 / TEMPERATURE
        for part in keys.split(2048):
            p = torch.mm(q, part.t()).div_(TEMPERATURE).sub_(shift).exp_()
            total += p.sum(1)
            grad.addmm_(p, part)
        first = ((q * pos).sum(1) / TEMPERATURE - shift).exp()
        total += first
        grad.add_(first[:, None] * pos).div_(total[:, None]).sub_(pos).div_(TEMPERATURE * a.n)

    def mkl():
        p, d = torch.empty(a.n, a.k), torch.empty(a.n, DIM)

        def both():
            torch.mm(q, keys.t(), out=p)
            torch.mm(p, keys, out=d)
        return both

    def openblas():
        import numpy
        x, y = q.numpy(), keys.numpy()
        p = numpy.empty((a.n, a.k), numpy.float32)
        d = numpy.empty((a.n, DIM), numpy.float32)

        def both():
            numpy.matmul(x, y.T, out=p)
            numpy.matmul(p, y, out=d)
        return both

    return {"eager": lambda: eager, "chunked": lambda: chunked, "compiled": compiled, "mkl": mkl,
            "openblas": openblas}[variant]()


def logits(torch, a, library):
    q, keys = unit_rows(torch, a.n, DIM), unit_rows(torch, a.k, DIM)
    out = torch.empty(a.n, a.k)
    if library == "torch":
        return lambda: torch.mm(q, keys.t(), out=out)
    import numpy
    x, y, z = q.numpy(), keys.numpy(), out.numpy()
    return lambda: numpy.matmul(x, y.T, out=z)


def softmax(torch, a):
    x = torch.randn(a.n, a.k)
    return lambda: torch.softmax(x / TEMPERATURE, dim=1)


def parameters(torch):
    """Tensors of a ResNet-50's size, 25.6 M floats."""
    import torchvision
    return [torch.randn_like(p) for p in torchvision.models.resnet50().parameters()]


def ema(torch):
    k, q = torch.randn(25557032), torch.randn(25557032)
    return lambda: k.lerp_(q, 0.001)


def sgd_ema(torch):
    q = [p.requires_grad_() for p in parameters(torch)]
    flat_k = torch.randn(sum(p.numel() for p in q))
    k, at = [], 0
    for p in q:
        k.append(flat_k[at:at + p.numel()].view_as(p))
        at += p.numel()
        p.grad = torch.randn_like(p)
    sgd = torch.optim.SGD(q, lr=1e-4, momentum=0.9, weight_decay=1e-4, foreach=True)

    def run():
        sgd.step()
        with torch.no_grad():
            torch._foreach_lerp_(k, q, 0.001)
    return run


def knn(torch, a, library):
    """2,000 queries, 50,000 training rows, 200 neighbours, temperature 0.1, ten classes."""
    train, test = unit_rows(torch, 50000, a.dim), unit_rows(torch, 2000, a.dim)
    labels = torch.arange(50000) % 10

    def vote(s, i):
        scores = torch.zeros(s.shape[0], 10)
        scores.scatter_add_(1, labels[i], (s / 0.1).exp())
        return scores.argmax(1)

    if library == "torch":
        def run():
            for part in test.split(500):
                vote(*torch.mm(part, train.t()).topk(200, dim=1))
        return run
    import faiss
    faiss.omp_set_num_threads(a.threads)
    index = faiss.IndexFlatIP(a.dim)
    index.add(train.numpy())

    def search():
        s, i = index.search(test.numpy(), 200)
        vote(torch.from_numpy(s), torch.from_numpy(i))
    return search


def field(numpy, image, generator, height, width):
    """A smooth random picture with some noise: three coarse grids, resized and added."""
    out = 128 + generator.normal(0, 8, (height, width, 3))
    for cells, strength in ((4, 90), (16, 40), (64, 20)):
        for c in range(3):
            grid = generator.normal(0, 1, (cells, cells)).astype(numpy.float32)
            big = image.fromarray(grid).resize((width, height), image.BICUBIC)
            out[..., c] += strength * numpy.asarray(big)
    return image.fromarray(numpy.clip(out, 0, 255).astype(numpy.uint8))


def files():
    """Twelve JPEG files of 500 x 375, for both sides."""
    import numpy
    from PIL import Image
    folder = os.environ["MOCO_BENCH_JPEGS"]
    os.makedirs(folder, exist_ok=True)
    generator = numpy.random.default_rng(0)
    for i in range(12):
        path = os.path.join(folder, f"{i:02d}.jpg")
        field(numpy, Image, generator, 375, 500).save(path, quality=90)


def pipeline(side, jpeg):
    from torchvision.transforms import v2
    import torch
    from PIL import ImageFilter

    def blur(image):
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))

    steps = [v2.RandomResizedCrop(side, scale=(0.2 if jpeg else 0.08, 1.0)),
             v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
             v2.RandomGrayscale(p=0.2)]
    steps += [v2.RandomApply([v2.Lambda(blur)], p=0.5)] if jpeg else []
    return v2.Compose(steps + [v2.RandomHorizontalFlip(), v2.PILToTensor(),
                               v2.ToDtype(torch.float32, scale=True),
                               v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def augment(torch, variant):
    """Returns the work and its number of items: views, or JPEG files that give two views each."""
    import numpy
    from PIL import Image
    torch.set_num_threads(1)
    if variant == "cifar":
        generator = numpy.random.default_rng(0)
        images = [field(numpy, Image, generator, 32, 32) for _ in range(64)]
        view = pipeline(32, 0)
        return lambda: [view(x) for _ in range(8) for x in images], 8 * 64
    folder = os.environ["MOCO_BENCH_JPEGS"]
    paths = sorted(os.path.join(folder, x) for x in os.listdir(folder))
    view = pipeline(224, 1)

    def run():
        for path in paths:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            view(image)
            view(image)
    return run, len(paths)


def network(torch, model):
    import torchvision
    if model == "resnet50":
        net = torchvision.models.resnet50(num_classes=128)
        net.fc = torch.nn.Sequential(torch.nn.Linear(2048, 2048), torch.nn.ReLU(),
                                     torch.nn.Linear(2048, 128))
        return net, 16, 224, 65536
    width = int(model.split("-")[1])
    net = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2],
                                    num_classes=128)
    if width != 64:
        net = thin(torch, torchvision, width)
    net.conv1 = torch.nn.Conv2d(3, width, 3, 1, 1, bias=False)
    net.maxpool = torch.nn.Identity()
    return net, 128, 32, 4096


def thin(torch, torchvision, width):
    """torchvision fixes 64 planes in its constructor; the layers are made again."""
    block = torchvision.models.resnet.BasicBlock
    net = torchvision.models.ResNet(block, [2, 2, 2, 2], num_classes=128)
    net.inplanes = width
    net.bn1 = torch.nn.BatchNorm2d(width)
    for i in range(4):
        setattr(net, f"layer{i + 1}", net._make_layer(block, width << i, 2, stride=1 + (i > 0)))
    net.fc = torch.nn.Linear(8 * width, 128)
    return net


def step(torch, a):
    """Query forward and backward, key forward, EMA, SGD, enqueue."""
    import copy
    f_q, batch, side, K = network(torch, a.model)
    layout = torch.channels_last if a.layout == "nhwc" else torch.contiguous_format
    f_q = f_q.to(memory_format=layout)
    f_k = copy.deepcopy(f_q)
    for p in f_k.parameters():
        p.requires_grad_(False)
    x_q, x_k = (torch.randn(batch, 3, side, side).to(memory_format=layout) for _ in range(2))
    run_q, run_k = (torch.compile(f, dynamic=False) if a.compile else f for f in (f_q, f_k))
    queue = unit_rows(torch, K, 128).t().contiguous()
    zeros = torch.zeros(batch, dtype=torch.long)
    q_params, k_params = list(f_q.parameters()), list(f_k.parameters())
    sgd = torch.optim.SGD(q_params, lr=1e-3, momentum=0.9, weight_decay=5e-4, foreach=True)
    at = [0]

    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            q = torch.nn.functional.normalize(run_q(x_q).float(), dim=1)
        with torch.no_grad():
            torch._foreach_lerp_(k_params, [p.detach() for p in q_params], 0.001)
            with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
                k = torch.nn.functional.normalize(run_k(x_k).float(), dim=1)
        scores = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.clone()], dim=1) / TEMPERATURE
        sgd.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(scores, zeros).backward()
        sgd.step()
        queue[:, at[0]:at[0] + batch] = k.t()
        at[0] = (at[0] + batch) % K
    return run


def versions(torch):
    import faiss
    import numpy
    print(json.dumps({"torch": torch.__version__, "faiss": faiss.__version__,
                      "numpy": numpy.__version__, "cap": torch.backends.cpu.get_cpu_capability()}))


def work(torch, a):
    """What the case runs, and how many items that is."""
    kind, _, variant = a.case.partition("-")
    if kind == "augment":
        return augment(torch, variant)
    return {
        "infonce": lambda: infonce(torch, a, variant),
        "logits": lambda: logits(torch, a, variant),
        "softmax": lambda: softmax(torch, a),
        "ema": lambda: ema(torch),
        "sgd": lambda: sgd_ema(torch),
        "knn": lambda: knn(torch, a, variant),
        "step": lambda: step(torch, a),
    }[kind](), 1


def main():
    a = options()
    if a.case == "files":
        return files()
    import torch
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    if a.case == "versions":
        return versions(torch)
    if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2" and (a.compile or "compiled" in a.case):
        import torch._inductor.config
        torch._inductor.config.cpp.simdlen = 256
    run, items = work(torch, a)
    run()
    run()
    times, begin = [], time.perf_counter()
    while len(times) < a.runs or time.perf_counter() - begin < 0.5:
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start) / items)
    print(json.dumps({"case": a.case, "ms": statistics.median(times), "min": min(times),
                      "max": max(times)}))
    return None


if __name__ == "__main__":
    main()
