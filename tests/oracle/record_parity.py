#!/usr/bin/env python3
"""Records the parity cases under tests/golden/parity with PyTorch: what a few training steps make
of a stored start and stored inputs.  Needs torch, numpy, safetensors:

  python3 tests/oracle/record_parity.py tests/golden/parity

Written independently of the engine, in functional style: a network is a dictionary of tensors under
torchvision's names.  Expected values: float64 on the stored float32 numbers.  Tolerances: how far
float32 runs stray when every number they read is off by up to one unit in the last place."""
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

BASE = dict(method="moco", arch="resnet18", width=2, stem="cifar", side=12, channels=3, dim=16,
            head="fc", bn_splits=1, batch=8, steps=2, T=0.1, K=24, key_encoder="momentum",
            key_copy=False, shuffle=False, symmetric=False, mask=False, consistency=0.0,
            optimiser="sgd", momentum=0.9, wd=5e-4)
CASES = {
    "moco_shuffle_bn": dict(width=3, bn_splits=4, shuffle=True, mask=True, T=0.07, seed=101),
    "moco_symmetric": dict(symmetric=True, head="mlp", T=0.2, seed=102),
    "end_to_end": dict(method="end_to_end", key_encoder="same", bn_splits=2, seed=103),
}
LR, M, WARMUP, REPEATS, KEEP, CLEAR = 0.05, 0.98, 20, 6, 160, 5e-6
WHOLE = {"top1", "queue_ptr", "queue_fill", "queue_ids_final"}


# ---- the network: names, then f(x) ----
def layout(c):
    """(name, shape) of every tensor, without the counters."""
    def bn(name, n):
        leaves = ("weight", "bias", "running_mean", "running_var")
        return [(f"{name}.{leaf}", (n,)) for leaf in leaves]
    last = c["width"]
    out = [("conv1.weight", (last, c["channels"], 3, 3))] + bn("bn1", last)
    for stage in range(4):
        planes = c["width"] * 2 ** stage
        for at in (f"layer{stage + 1}.{i}." for i in range(2)):
            out += [(at + "conv1.weight", (planes, last, 3, 3))] + bn(at + "bn1", planes)
            out += [(at + "conv2.weight", (planes, planes, 3, 3))] + bn(at + "bn2", planes)
            if last != planes:
                out += [(at + "downsample.0.weight", (planes, last, 1, 1))]
                out += bn(at + "downsample.1", planes)
            last = planes
    linear = {"fc": [("fc", c["dim"])], "mlp": [("fc.0", last), ("fc.2", c["dim"])]}[c["head"]]
    return out + [x for n, o in linear for x in ((n + ".weight", (o, last)), (n + ".bias", (o,)))]


def fresh(c):
    net = {}
    for name, shape in layout(c):
        if len(shape) == 1:
            net[name] = torch.full(shape, 1.0 if name.endswith(("running_var", "weight")) else 0.0)
        else:
            net[name] = torch.randn(shape) * (2 / shape[1] if len(shape) == 2 else
                                              2 / (shape[0] * shape[2] * shape[3])) ** 0.5
    return net


def is_param(name):
    return "running" not in name


class Net:
    """f(x) in training mode; `closest`: least |input| / RMS that a ReLU with a gradient saw."""
    closest = 1.0

    def __init__(self, c, tensors, dtype):
        self.c, self.velocity = c, {}
        self.t = {n: v.to(dtype).clone().requires_grad_(is_param(n)) for n, v in tensors.items()}

    def params(self):
        return {n: v for n, v in self.t.items() if is_param(n)}

    def relu(self, x):
        if torch.is_grad_enabled():
            Net.closest = min(Net.closest, float((x.abs().min() / x.pow(2).mean().sqrt()).detach()))
        return x.clamp(min=0)

    def bn(self, x, name):
        g = self.c["bn_splits"]
        w, b = (self.t[f"{name}.{leaf}"].view(1, -1, 1, 1) for leaf in ("weight", "bias"))
        parts = [x[i::g] for i in range(g)]              # sample n belongs to group n mod g
        var, mean = zip(*(torch.var_mean(p, (0, 2, 3), correction=0, keepdim=True) for p in parts))
        unbiased = [p.detach().var((0, 2, 3)) for p in parts]
        with torch.no_grad():
            means = [m.flatten() for m in mean]
            for leaf, new in ("running_mean", means), ("running_var", unbiased):
                old = self.t[f"{name}.{leaf}"]
                old.copy_(0.9 * old + 0.1 * sum(new) / g)
        parts = [(p - m) / (v + 1e-5).sqrt() for p, m, v in zip(parts, mean, var)]
        return torch.stack(parts, 1).flatten(0, 1) * w + b

    def unit(self, x, conv, bn, stride=1):
        w = self.t[conv + ".weight"]
        return self.bn(F.conv2d(x, w, stride=stride, padding=w.shape[2] // 2), bn)

    def __call__(self, x):
        x = self.relu(self.unit(x, "conv1", "bn1"))
        for stage in range(4):
            for i in range(2):
                at, stride = f"layer{stage + 1}.{i}.", 2 if stage and not i else 1
                y = self.relu(self.unit(x, at + "conv1", at + "bn1", stride))
                y = self.unit(y, at + "conv2", at + "bn2")
                down = at + "downsample.0.weight" in self.t
                if down:
                    x = self.unit(x, at + "downsample.0", at + "downsample.1", stride)
                x = self.relu(y + x)
        x = x.mean((2, 3))
        if self.c["head"] == "mlp":
            x = F.linear(self.relu(F.linear(x, self.t["fc.0.weight"], self.t["fc.0.bias"])),
                         self.t["fc.2.weight"], self.t["fc.2.bias"])
        else:
            x = F.linear(x, self.t["fc.weight"], self.t["fc.bias"])
        return x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)

    @torch.no_grad()
    def sgd(self):
        for n, p in self.params().items():
            g = p.grad + self.c["wd"] * p
            u = self.velocity.get(n)
            self.velocity[n] = g if u is None else self.c["momentum"] * u + g
            p -= LR * self.velocity[n]


# ---- training steps ----
class Training:
    def __init__(self, c, start, dtype):
        self.c = c
        self.q = Net(c, start["init_q"], dtype)
        self.k = Net(c, start["init_k"], dtype) if c["method"] == "moco" else self.q
        self.queue = start["queue_init"].to(dtype).clone()
        self.ids = start["queue_ids_init"].clone()
        self.ptr, self.fill = start["ptr"], start["fill"]

    def info_nce(self, q, k, ids):
        others = q @ self.queue.T
        if self.c["mask"]:
            empty = (torch.arange(self.c["K"]) >= self.fill).expand_as(others)
            others = torch.where(empty | (self.ids == ids[:, None]), -torch.inf, others)
        l = torch.cat(((q * k).sum(1)[:, None], others), 1) / self.c["T"]
        return (l.logsumexp(1) - l[:, 0]).mean(), (l.argmax(1) == 0).double().mean()

    @torch.no_grad()
    def key(self, x, perm):
        if perm is None:
            return self.k(x)
        out = self.k(x[perm])
        back = torch.empty_like(out)
        back[perm] = out
        return back

    def moco(self, x):
        feats, keys, ids = {"q": self.q(x["x_q"])}, [], x.get("ids")
        with torch.no_grad():
            for n, p in self.k.params().items():
                p.copy_(M * p + (1 - M) * self.q.t[n])
        feats["k"] = self.key(x["x_k"], x.get("perm"))
        loss, top1 = self.info_nce(feats["q"], feats["k"], ids)
        keys.append(feats["k"])
        if self.c["symmetric"]:
            feats["q2"], feats["k2"] = self.q(x["x_k"]), self.key(x["x_q"], None)
            loss2, top2 = self.info_nce(feats["q2"], feats["k2"], ids)
            loss, top1 = loss + loss2, (top1 + top2) / 2
            keys.insert(0, feats["k2"])
        return loss, top1, feats, torch.cat(keys)

    def end_to_end(self, x):
        q, k = self.q(x["x_q"]), self.q(x["x_k"])
        l, own = q @ k.T / self.c["T"], torch.arange(len(q))
        return F.cross_entropy(l, own), (l.argmax(1) == own).double().mean(), {"q": q, "k": k}, None

    def step(self, x):
        for p in self.q.params().values():
            p.grad = None
        loss, top1, feats, keys = getattr(self, self.c["method"])(x)
        trained = {n: f for n, f in feats.items() if f.requires_grad}
        for f in trained.values():
            f.retain_grad()
        loss.backward()
        grads = {f"grad_q/{n}": p.grad.clone() for n, p in self.q.params().items()}
        self.q.sgd()
        out = {"loss": loss, "top1": top1}
        if keys is not None:
            slots = [(self.ptr + i) % self.c["K"] for i in range(len(keys))]
            self.queue[slots] = keys
            if "ids" in x:
                self.ids[slots] = x["ids"]
            self.ptr = (self.ptr + len(keys)) % self.c["K"]
            self.fill = min(self.fill + len(keys), self.c["K"])
            out["queue_ptr"] = self.ptr
        out |= {f"feat_{n}": f for n, f in feats.items()}
        out |= {f"d_feat_{n}": f.grad for n, f in trained.items()}
        return out, grads

    def run(self, inputs, steps):
        """Everything the steps produce: {name: float64 array}, leading axis steps or 1."""
        rows, once, dtype = [], {}, self.queue.dtype
        inputs = {n: v.to(dtype) if v.is_floating_point() else v for n, v in inputs.items()}
        for s in range(steps):
            row, grads = self.step({n: v[s] for n, v in inputs.items()})
            rows.append({n: torch.as_tensor(v).detach().double().numpy() for n, v in row.items()})
            once = once or grads
        for side in ("q", "k") if self.k is not self.q else ("q",):
            once |= {f"final_{side}/{n}": v for n, v in getattr(self, side).t.items()}
        if self.c["method"] == "moco":
            once["queue_final"] = self.queue
        if self.c["mask"]:
            once |= {"queue_ids_final": self.ids, "queue_fill": torch.tensor(self.fill)}
        return {n: np.stack([r[n] for r in rows]) for n in rows[0]} | {
            n: thin(v.detach().double().numpy(), n)[None] for n, v in once.items()}


# ---- recording ----
def stride(size):
    s = max(1, -(-size // KEEP))
    return next(i for i in range(s, s + 9) if i == 1 or (i % 2 and i % 3))  # meets every tap


def thin(a, name):
    return a.reshape(-1)[::stride(a.size)] if "/" in name else a


def draw(c, steps):
    shape = (steps, c["batch"], c["channels"], c["side"], c["side"])
    scene = torch.randn(steps * c["batch"], c["channels"], 3, 3)
    scene = F.interpolate(scene, c["side"], mode="bicubic").view(shape)
    x = {n: scene + 0.25 * torch.randn(shape) for n in ("x_q", "x_k")}
    if c["shuffle"]:
        x["perm"] = torch.stack([torch.randperm(c["batch"]) for _ in range(steps)])
    if c["mask"]:
        x["ids"] = torch.stack([torch.randperm(2 * c["batch"])[:c["batch"]] for _ in range(steps)])
    return x


def warm_start(c):
    """A start after some training: a fresh network's gradients are differences of equal numbers."""
    first = fresh(c)
    start = dict(init_q=first, init_k=first, queue_init=F.normalize(torch.randn(c["K"], c["dim"])),
                 queue_ids_init=torch.full((c["K"],), -1), ptr=0, fill=c["K"])
    run = Training(c, start, torch.float32)
    run.run(draw(c, WARMUP), WARMUP)
    for name, net in ("init_q", run.q), ("init_k", run.k):
        start[name] = {n: v.detach().clone() for n, v in net.t.items()}
    start |= dict(queue_init=run.queue, queue_ids_init=run.ids, ptr=run.ptr, fill=run.fill)
    if c["mask"]:                                        # a third of the queue is in use
        start["ptr"] = start["fill"] = c["K"] // 3
        start["queue_ids_init"][c["K"] // 3:] = -1
    return start


def rms(a):
    return np.sqrt((a.reshape(len(a), -1) ** 2).mean(1))


def limits(c, start, inputs, want):
    def jitter(v):
        if isinstance(v, dict):
            return {n: jitter(x) for n, x in v.items()}
        real = torch.is_tensor(v) and v.is_floating_point()
        return v * (1 + torch.empty_like(v).uniform_(-1, 1) * 2.0 ** -23) if real else v
    size = {}
    for n, a in want.items():
        side, _, name = n.partition("/")
        moved = a
        if side.startswith("final_"):                    # what counts is the change
            moved = a - thin(start[side.replace("final", "init")][name].double().numpy(), n)
        size[n] = np.where(rms(moved) > 0, rms(moved), np.maximum(rms(a), 1e-30))
    gap = {n: np.zeros(len(a)) for n, a in want.items()}
    for _ in range(REPEATS):
        got = Training(c, jitter(start), torch.float32).run(jitter(inputs), c["steps"])
        gap = {n: np.maximum(g, rms(got[n] - want[n]) / size[n]) for n, g in gap.items()}
    if any(gap[n].any() for n in WHOLE & gap.keys()):
        return None
    kind = {n: (n.split("/")[0], "running" in n, want[n].size > 40) for n in gap}
    usual = {k: np.median([gap[n][0] for n in gap if kind[n] == k]) for k in set(kind.values())}
    gap = {n: np.maximum(g, usual[kind[n]]) if "/" in n else g for n, g in gap.items()}
    tol = {n: np.maximum(16 * g, 2e-6) * size[n] * (n not in WHOLE) for n, g in gap.items()}
    return {n: [float(f"{t:.3g}") for t in limit] for n, limit in tol.items()}


def record(name, folder):
    c = BASE | CASES[name]
    torch.manual_seed(c["seed"])
    start, tol, attempt = warm_start(c), None, 0
    while tol is None:                   # until no ReLU and no whole number hangs on the last digit
        attempt, Net.closest, inputs = attempt + 1, 1.0, draw(c, c["steps"])
        want = Training(c, start, torch.float64).run(inputs, c["steps"])
        closest = Net.closest
        tol = limits(c, start, inputs, want) if closest > CLEAR else None
    os.makedirs(folder, exist_ok=True)
    nets, arrays = {"init_q": start["init_q"]}, dict(inputs)
    if c["method"] == "moco":
        nets["init_k"], arrays["queue_init"] = start["init_k"], start["queue_init"]
    if c["mask"]:
        arrays["queue_ids_init"] = start["queue_ids_init"]
    for n, t in nets.items():
        save_file(t, os.path.join(folder, n + ".safetensors"))
    for n, t in arrays.items():
        np.save(os.path.join(folder, n + ".npy"), t.numpy())
    save_file({n: torch.tensor(a, dtype=torch.float32 if "/" in n else torch.float64)
               for n, a in want.items() if a.ndim > 1}, os.path.join(folder, "expect.safetensors"))
    expect = {n: {"tol": tol[n]} for n in want}
    for n, a in want.items():
        if a.ndim == 1:
            expect[n]["value"] = a.tolist()
        if "/" in n:
            expect[n]["stride"] = stride(start["init_q"][n.split("/")[1]].numel())
    case = dict(case=name, method=c["method"], config=c, lr=[LR] * c["steps"], m=[M] * c["steps"],
                start={n: start[n] for n in ("ptr", "fill")},
                files={n + ".npy": list(t.shape) for n, t in arrays.items()},
                made_with=dict(torch=torch.__version__, attempt=attempt, closest_relu=closest))
    lines = [f'"{n}": {json.dumps(v)}' for n, v in case.items()]
    entries = [f'"{n}": {json.dumps(e)}' for n, e in expect.items()]
    lines.append('"expect": {\n' + ",\n".join(entries) + "\n}")
    with open(os.path.join(folder, "case.json"), "w") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{name}: inputs of attempt {attempt}, closest ReLU input {closest:.1e}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    for case_name in CASES:
        record(case_name, os.path.join(sys.argv[1], case_name))
