#!/usr/bin/env python3
"""Times one network in PyTorch or ONNX Runtime and prints one line of JSON. tools/bench_peers.py runs it beside `fovea bench`.

  peer_bench.py train NETWORK [--batch N] [--size N] [--threads N] [--seconds S] [--channels-last]
  peer_bench.py infer NETWORK ... [--channels-last] [--optimize]
  peer_bench.py export NETWORK --file FILE.onnx ...          for the next one
  peer_bench.py onnx NETWORK --file FILE.onnx ...

A training step is what fovea's is: forward, BCE + Dice, backward, Adam on one fixed batch. Inference ends with the sigmoid. ONNX Runtime
reads a file that another process has exported, so that PyTorch takes no part of its memory.
"""
import argparse
import json
import statistics
import time


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("mode", choices=["train", "infer", "export", "onnx"])
    a.add_argument("network")
    a.add_argument("--file")
    a.add_argument("--batch", type=int, default=1)
    a.add_argument("--size", type=int, default=256)
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--seconds", type=float, default=5)
    a.add_argument("--channels-last", action="store_true")
    a.add_argument("--optimize", action="store_true", help="traced, frozen, optimize_for_inference")
    return a.parse_args()


def peak_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def timed(step, seconds, least):
    """Seconds of each run; two before them do not count. The same rule as fovea's."""
    for _ in range(2):
        step()
    times, start = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return times


def report(a, times, engine):
    print(json.dumps({"engine": engine, "mode": a.mode, "network": a.network, "batch": a.batch, "size": a.size, "threads": a.threads,
                      "channels_last": a.channels_last, "optimize": a.optimize, "runs": len(times), "median_s": statistics.median(times),
                      "best_s": min(times), "peak_mib": peak_mib()}))


# ---- PyTorch ----

def with_sigmoid(torch, net):
    return torch.nn.Sequential(net, torch.nn.Sigmoid())


def network_and_input(a):
    import torch

    from networks import NETWORKS

    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    net, x = NETWORKS[a.network](), torch.rand(a.batch, 3, a.size, a.size) * 2 - 1
    if a.channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    return torch, net, x


def training_step(torch, net, x):
    from losses import Loss

    net.eval()
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    with torch.no_grad():
        target = (torch.rand_like(net(x)) > 0.8).float()
    net.train()
    loss_of = Loss()

    def step():
        adam.zero_grad(set_to_none=True)
        loss_of(net(x), target).backward()
        adam.step()

    return step


def bench_torch(a):
    torch, net, x = network_and_input(a)
    engine = f"PyTorch {torch.__version__}"
    if a.mode == "train":
        return report(a, timed(training_step(torch, net, x), a.seconds, 3), engine)
    net = with_sigmoid(torch, net).eval()
    with torch.no_grad():
        if a.optimize:
            net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))
        report(a, timed(lambda: net(x), a.seconds, 5), engine)


# ---- ONNX Runtime ----

def export(a):
    torch, net, x = network_and_input(a)
    torch.onnx.export(with_sigmoid(torch, net).eval(), x, a.file, opset_version=17, input_names=["input"], output_names=["output"], dynamo=False)


def bench_onnx(a):
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = a.threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(a.file, options, providers=["CPUExecutionProvider"])
    feed = {"input": numpy.random.default_rng(1).uniform(-1, 1, (a.batch, 3, a.size, a.size)).astype(numpy.float32)}
    report(a, timed(lambda: session.run(None, feed), a.seconds, 5), f"ONNX Runtime {onnxruntime.__version__}")


def main():
    a = arguments()
    {"train": bench_torch, "infer": bench_torch, "export": export, "onnx": bench_onnx}[a.mode](a)


if __name__ == "__main__":
    main()
