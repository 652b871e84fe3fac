#!/usr/bin/env python3
"""One measurement of what a user would run instead, printed as one line of JSON.

  peer.py CASE [--threads 2] [--runs 7]

Cases: infonce-eager, infonce-chunked, infonce-sgemm (each with --n and --k), logits, logits-numpy,
softmax, ema, sgd-ema, knn-torch, knn-faiss (with --dim), step (with --model resnet18-64,
resnet18-16, resnet50; --bf16, --layout nchw|nhwc). Times are milliseconds: the median of the runs
after a warm-up, their spread, and the process's peak memory in MiB.
"""
import argparse
import json
import os
import resource
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
    p.add_argument("--layout", default="nhwc")
    return p.parse_args()


def unit_rows(torch, rows, dim):
    return torch.nn.functional.normalize(torch.randn(rows, dim), dim=1)


def infonce(torch, a, variant):
    """InfoNCE of n queries against k keys, loss and gradient with respect to the queries."""
    q, pos, keys = (unit_rows(torch, r, DIM) for r in (a.n, a.n, a.k))
    queue = keys.t().contiguous()  # (dim, k), as the published code keeps it
    zeros = torch.zeros(a.n, dtype=torch.long)

    def eager():
        x = q.detach().requires_grad_()
        positive = torch.einsum("nc,nc->n", x, pos).unsqueeze(1)
        negative = torch.einsum("nc,ck->nk", x, queue)
        logits = torch.cat([positive, negative], dim=1) / TEMPERATURE
        torch.nn.functional.cross_entropy(logits, zeros).backward()

    def chunked():
        total = torch.zeros(a.n)
        grad = torch.zeros(a.n, DIM)
        shift = 1 / TEMPERATURE
        for part in keys.split(4096):
            p = torch.mm(q, part.t()).div_(TEMPERATURE).sub_(shift).exp_()
            total += p.sum(1)
            grad.addmm_(p, part)
        first = ((q * pos).sum(1) / TEMPERATURE - shift).exp()
        total += first
        grad.add_(first[:, None] * pos).div_(total[:, None]).sub_(pos).div_(TEMPERATURE * a.n)

    def sgemm():
        import numpy
        x, y = q.numpy(), keys.numpy()
        p = numpy.empty((a.n, a.k), numpy.float32)
        d = numpy.empty((a.n, DIM), numpy.float32)

        def both():
            numpy.matmul(x, y.T, out=p)
            numpy.matmul(p, y, out=d)
        return both

    return {"eager": eager, "chunked": chunked, "sgemm": sgemm()}[variant]


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
    queue = unit_rows(torch, K, 128).t().contiguous()
    zeros = torch.zeros(batch, dtype=torch.long)
    q_params, k_params = list(f_q.parameters()), list(f_k.parameters())
    sgd = torch.optim.SGD(q_params, lr=1e-3, momentum=0.9, weight_decay=5e-4, foreach=True)
    at = [0]

    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            q = torch.nn.functional.normalize(f_q(x_q).float(), dim=1)
        with torch.no_grad():
            torch._foreach_lerp_(k_params, [p.detach() for p in q_params], 0.001)
            with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
                k = torch.nn.functional.normalize(f_k(x_k).float(), dim=1)
        scores = torch.cat([(q * k).sum(1, keepdim=True), q @ queue], dim=1) / TEMPERATURE
        sgd.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(scores, zeros).backward()
        sgd.step()
        queue[:, at[0]:at[0] + batch] = k.t()
        at[0] = (at[0] + batch) % K
    return run


def main():
    a = options()
    import torch
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    kind, _, variant = a.case.partition("-")
    run = {
        "infonce": lambda: infonce(torch, a, variant),
        "logits": lambda: logits(torch, a, variant or "torch"),
        "softmax": lambda: softmax(torch, a),
        "ema": lambda: ema(torch),
        "sgd": lambda: sgd_ema(torch),
        "knn": lambda: knn(torch, a, variant),
        "step": lambda: step(torch, a),
    }[kind]()
    run()
    run()
    times = []
    for _ in range(a.runs):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({
        "case": a.case, "ms": statistics.median(times), "min": min(times), "max": max(times),
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "torch": torch.__version__, "cap": os.environ.get("ATEN_CPU_CAPABILITY", ""),
    }))


if __name__ == "__main__":
    main()
