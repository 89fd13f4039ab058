"""Step time of a lowered graph against the same network written by hand in PyTorch (forward, backward, SGD step).

Both run in one process in turns, so that what disturbs one disturbs the other; the ratio of a repetition is that of two
blocks of steps side by side, and the median over repetitions is printed. Aim: at most 1.02.

    python benchmarks/bench_lowering.py --repeats 40
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from archgraph import Graph, Network

BATCH = 64


class MLP(nn.Module):
    """Two hidden layers on images of 8 x 8 grey pixels, as vectors."""

    text = """
image = Input((64,))
first = Linear(128)(image)
act1 = ReLU()(first)
second = Linear(64)(act1)
act2 = ReLU()(second)
head = Linear(10)(act2)
return head
"""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(64, 128), nn.Linear(128, 64), nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(functional.relu(self.second(functional.relu(self.first(image)))))


class Conv(nn.Module):
    """Two convolutions with batch norm on images of 8 x 8 grey pixels."""

    text = """
image = Input((1, 8, 8))
conv1 = Conv2d(8, kernel_size=3, padding=1)(image)
norm1 = BatchNorm()(conv1)
act1 = ReLU()(norm1)
conv2 = Conv2d(16, kernel_size=3, padding=1)(act1)
norm2 = BatchNorm()(conv2)
act2 = ReLU()(norm2)
pool = MaxPool2d(2)(act2)
flat = Flatten()(pool)
head = Linear(10)(flat)
return head
"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.head = nn.Linear(256, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.relu(self.norm1(self.conv1(image)))
        x = functional.relu(self.norm2(self.conv2(x)))
        return self.head(torch.flatten(functional.max_pool2d(x, 2), 1))


class Residual(nn.Module):
    """Two residual blocks of 16 channels on images of 16 x 16 colour pixels."""

    text = """
image = Input((3, 16, 16))
stem = Conv2d(16, kernel_size=3, padding=1, bias=False)(image)
norm0 = BatchNorm()(stem)
act0 = ReLU()(norm0)
conv1 = Conv2d(16, kernel_size=3, padding=1, bias=False)(act0)
norm1 = BatchNorm()(conv1)
sum1 = Add()(norm1, act0)
act1 = ReLU()(sum1)
conv2 = Conv2d(16, kernel_size=3, padding=1, bias=False)(act1)
norm2 = BatchNorm()(conv2)
sum2 = Add()(norm2, act1)
act2 = ReLU()(sum2)
mean = GlobalAvgPool()(act2)
head = Linear(10)(mean)
return head
"""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm0 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv1, self.norm1 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.relu(self.norm0(self.stem(image)))
        x = functional.relu(self.norm1(self.conv1(x)) + x)
        x = functional.relu(self.norm2(self.conv2(x)) + x)
        return self.head(x.mean(dim=(2, 3)))


NETS: dict[str, type[MLP] | type[Conv] | type[Residual]] = {"mlp": MLP, "conv": Conv, "residual": Residual}


def steps(module: nn.Module, x: Tensor, y: Tensor) -> Callable[[int], float]:
    """Return a function that trains some steps and says how many seconds they took."""
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)

    def run(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            optimizer.zero_grad()
            functional.cross_entropy(module(x), y).backward()
            optimizer.step()
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        return time.perf_counter() - start

    return run


def compare(name: str, repeats: int, device: torch.device) -> tuple[float, float, float]:
    """Return seconds a step of the module written by hand and of the lowered one, and the median ratio."""
    graph = Graph.parse(NETS[name].text)
    lowered = Network.init(graph, 0).to_torch().to(device)
    written = NETS[name]().to(device)
    written.load_state_dict(lowered.state_dict())
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, *graph.shape(graph.inputs[0]).dims, generator=draw).to(device)
    y = torch.randint(10, (BATCH,), generator=draw).to(device)
    left, right = steps(written, x, y), steps(lowered, x, y)
    left(20)
    right(20)
    if not all(torch.allclose(one, lowered.state_dict()[key], atol=1e-4) for key, one in written.state_dict().items()):
        raise AssertionError(f"{name}: the two modules do not train alike")
    count = max(1, int(0.03 / (left(10) / 10)))  # blocks of about 30 milliseconds
    by_hand, ours = [], []
    for repeat in range(repeats):
        for which in (0, 1) if repeat % 2 else (1, 0):
            (by_hand, ours)[which].append((left, right)[which](count) / count)
    ratios = [mine / theirs for mine, theirs in zip(ours, by_hand, strict=True)]
    return statistics.median(by_hand), statistics.median(ours), statistics.median(ratios)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Step time of lowered graphs against modules written by hand.")
    parser.add_argument("--repeats", type=int, default=40, help="pairs of blocks of steps (default: 40)")
    parser.add_argument("--device", default="cpu", help="cpu (one thread) or cuda")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'net':<10} {'by hand':>12} {'lowered':>12} {'ratio':>8}   {options.device}, median of {options.repeats}")
    for name in NETS:
        theirs, ours, ratio = compare(name, options.repeats, torch.device(options.device))
        print(f"{name:<10} {theirs * 1e3:>9.3f} ms {ours * 1e3:>9.3f} ms {ratio:>8.3f}")


if __name__ == "__main__":
    main()
