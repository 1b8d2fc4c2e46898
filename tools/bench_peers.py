#!/usr/bin/env python3
"""Times fovea, PyTorch and ONNX Runtime in alternation on the same networks and writes docs/results/performance.md.

  tools/bench_peers.py                        everything: about half an hour on two cores
  tools/bench_peers.py --only unet --quick    one network, one short round; into build/peers/performance.md

Every run is a process of its own, one after the other: A B C, A B C, ... A round's figure is the median of its steps, what is told is the
median over rounds. Runs are kept in build/peers/runs.jsonl as they end, so that an interrupted comparison goes on where it stopped; fovea's are
tied to the binary they were made with.

The peers live in build/peers/venv, which is made at the first use. PEERS_PYTHON=... names another Python that has torch, onnx and onnxruntime.
"""
import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")
FOLDER = BUILD / "peers"
FOVEA = BUILD / "fovea"
PEER = ROOT / "tools" / "peers" / "peer_bench.py"
PACKAGES = ["torch==2.13.0", "onnx", "onnxruntime", "onnxscript", "numpy"]

# glibc gives memory back after each step and pays for it in page faults: with this PyTorch is at its best.
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "32000000000", "MALLOC_TOP_PAD_": "268435456", "MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True)
class Case:
    mode: str
    network: str
    batch: int
    size: int
    goal: float  # fovea's time by the best peer's, at most
    threads: int = 1


CASES = [
    Case("train", "mobilenetv2_unet", 8, 256, 0.60),
    Case("train", "mobilenetv2_se_unet", 8, 256, 0.55),
    Case("train", "unet", 8, 256, 0.50),
    Case("train", "resunet32", 2, 256, 0.50),
    Case("train", "resunet", 2, 256, 0.50),
    Case("infer", "mobilenetv2_unet", 1, 256, 0.80),
    Case("infer", "mobilenetv2_se_unet", 1, 256, 0.65),
    Case("infer", "unet", 1, 256, 0.55),
    Case("infer", "resunet32", 1, 256, 0.55),
    Case("infer", "resunet32", 1, 512, 0.55),
    Case("infer", "resunet", 1, 256, 0.70),
]
MEMORY_GOAL = {"train": 0.5, "infer": 0.6}
SPEED_UP_GOAL = {"mobilenetv2_unet": 1.6}  # 2 threads over one; 1.8 for the others

# Name of a contender: what its process is given, and whether its allocator is tuned.
FORMATS = {"": [], " channels-last": ["--channels-last"]}
TRAIN_PEERS = {"stock": ([], False), **{f"tuned{name}": (words, True) for name, words in FORMATS.items()}}
INFER_PEERS = {
    "stock": ([], False),
    **{f"tuned{name}{traced}": (words + (["--optimize"] if traced else []), True) for name, words in FORMATS.items() for traced in ("", " traced")},
    "onnx": ([], False),
}


# ---- what is needed ----

def peers_python():
    given = os.environ.get("PEERS_PYTHON")
    if given:
        return given
    python = FOLDER / "venv" / "bin" / "python"
    marker = FOLDER / "venv" / "complete"
    if not marker.exists():
        print(f"installing {' '.join(PACKAGES)} into {python.parent.parent} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
        marker.touch()
    return str(python)


def last_json(command, environment=None):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode:
        sys.exit(f"bench_peers: {' '.join(command)} failed:\n{done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout[done.stdout.index("{"):])


# ---- runs ----

class Runs:
    """Results by (binary, seconds, round, case, contender), kept in a file."""

    def __init__(self, seconds):
        self.path = FOLDER / "runs.jsonl"
        self.binary, self.seconds = hashlib.sha256(FOVEA.read_bytes()).hexdigest()[:16], seconds
        self.known = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                row = json.loads(line)
                self.known[json.dumps(row["key"])] = row["result"]

    def key(self, case, number, contender):
        where = {k: v for k, v in asdict(case).items() if k != "goal"}
        return [self.binary if contender == "fovea" else None, self.seconds, number, where, contender]

    def get(self, case, number, contender):
        return self.known.get(json.dumps(self.key(case, number, contender)))

    def put(self, case, number, contender, result):
        key = self.key(case, number, contender)
        self.known[json.dumps(key)] = result
        with self.path.open("a") as file:
            file.write(json.dumps({"key": key, "result": result}) + "\n")


def run_fovea(case, seconds):
    return last_json([str(FOVEA), "bench", "--model", case.network, "--mode", case.mode, "--batch", str(case.batch), "--size", str(case.size),
                      "--threads", str(case.threads), "--seconds", str(seconds), "--json", "-", "--quiet"])


def onnx_file(case, python):
    path = FOLDER / f"{case.network}_{case.batch}x{case.size}.onnx"
    if not path.exists():
        fresh = path.with_suffix(".new")
        subprocess.run([python, "-W", "ignore", str(PEER), "export", case.network, "--file", str(fresh), "--batch", str(case.batch), "--size", str(case.size)],
                       check=True, stdout=subprocess.DEVNULL)
        fresh.rename(path)
    return str(path)


def run_peer(case, contender, seconds, python):
    words, tuned = (TRAIN_PEERS if case.mode == "train" else INFER_PEERS)[contender]
    mode = ["onnx", case.network, "--file", onnx_file(case, python)] if contender == "onnx" else [case.mode, case.network]
    return last_json([python, "-W", "ignore", str(PEER), *mode, "--batch", str(case.batch), "--size", str(case.size), "--threads", str(case.threads),
                      "--seconds", str(seconds), *words], TUNED if tuned else None)


def contenders(case, runs, number):
    """All in the first round; afterwards, of PyTorch's tuned variants, only the one that was fastest there."""
    names = list(TRAIN_PEERS if case.mode == "train" else INFER_PEERS)
    if number > 0:
        tuned = [n for n in names if n.startswith("tuned")]
        best = min(tuned, key=lambda n: runs.get(case, 0, n)["median_s"])
        names = [n for n in names if n not in tuned or n == best]
    return ["fovea", *names]


def measure(cases, rounds, seconds, runs, python):
    total, done, start = len(cases) * rounds, 0, time.monotonic()
    for number in range(rounds):
        for case in cases:
            print(f"round {number + 1}/{rounds}: {case.mode} {case.network} {case.size} px, {case.threads} thread{'s' * (case.threads > 1)}, "
                  f"{done} of {total} after {time.monotonic() - start:.0f} s", file=sys.stderr)
            for contender in contenders(case, runs, number):
                if runs.get(case, number, contender) is None:
                    result = run_fovea(case, seconds) if contender == "fovea" else run_peer(case, contender, seconds, python)
                    runs.put(case, number, contender, result)
            done += 1


# ---- figures ----

@dataclass
class Figure:
    seconds: float  # median over rounds
    spread: float  # (slowest - fastest round) / median
    peak_mib: float
    name: str
    last: dict


def figure(runs, case, contender, rounds):
    results = [r for r in (runs.get(case, n, contender) for n in range(rounds)) if r]
    if not results:
        return None
    times = [r["median_s"] for r in results]
    middle = statistics.median(times)
    return Figure(middle, (max(times) - min(times)) / middle, statistics.median(r["peak_mib"] for r in results), contender, results[-1])


def best_tuned(runs, case, rounds):
    names = [n for n in contenders(case, runs, 1) if n.startswith("tuned")]
    return figure(runs, case, names[0], rounds)


def ratio(ours, theirs, goal=None):
    value = ours / theirs
    mark = "" if goal is None else " ✓" if value <= goal else " ✗"
    return f"{value:.2f}{mark}"


def milliseconds(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def train_row(case, runs, rounds):
    ours, stock, tuned = figure(runs, case, "fovea", rounds), figure(runs, case, "stock", rounds), best_tuned(runs, case, rounds)
    share = ours.last["fma_percent"]
    return (f"| {case.network}, batch {case.batch} | {case.threads} | {milliseconds(ours.seconds)} | {ours.last['gflops']:.0f} ({share:.0f} %) | "
            f"{milliseconds(stock.seconds)} | {milliseconds(tuned.seconds)}{' (channels-last)' if 'last' in tuned.name else ''} | "
            f"{ratio(ours.seconds, tuned.seconds, case.goal)} | {case.goal:.2f} | {ratio(ours.seconds, stock.seconds)} | {100 * ours.spread:.0f}, {100 * tuned.spread:.0f} % |")


def infer_row(case, runs, rounds):
    ours, stock = figure(runs, case, "fovea", rounds), figure(runs, case, "stock", rounds)
    tuned, onnx = best_tuned(runs, case, rounds), figure(runs, case, "onnx", rounds)
    return (f"| {case.network}, {case.size} px | {case.threads} | {milliseconds(ours.seconds)} | {ours.last['gflops']:.0f} ({ours.last['fma_percent']:.0f} %) | "
            f"{milliseconds(onnx.seconds)} | {milliseconds(tuned.seconds)} ({tuned.name.removeprefix('tuned').strip() or 'eager'}) | {milliseconds(stock.seconds)} | "
            f"{ratio(ours.seconds, onnx.seconds, case.goal)} | {case.goal:.2f} | {ratio(ours.seconds, tuned.seconds)} | {100 * ours.spread:.0f}, {100 * onnx.spread:.0f} % |")


def memory_row(case, runs, rounds):
    ours, stock = figure(runs, case, "fovea", rounds), figure(runs, case, "stock", rounds)
    tuned, onnx = best_tuned(runs, case, rounds), figure(runs, case, "onnx", rounds)
    reference = stock if case.mode == "train" else onnx
    return (f"| {case.mode} {case.network}, batch {case.batch}, {case.size} px | {ours.last['plan_mib']:.0f} | {ours.peak_mib:.0f} | {stock.peak_mib:.0f} | "
            f"{tuned.peak_mib:.0f} | {f'{onnx.peak_mib:.0f}' if onnx else ''} | {ratio(ours.peak_mib, reference.peak_mib, MEMORY_GOAL[case.mode])} | {MEMORY_GOAL[case.mode]:.1f} |")


def speed_up_row(case, most, runs, rounds):
    one, many = (figure(runs, replace(case, threads=t), "fovea", rounds).seconds for t in (1, most))
    gain, goal = one / many, SPEED_UP_GOAL.get(case.network, 1.8)
    return f"| {case.mode} {case.network}, {case.size} px | {gain:.2f}{'' if most != 2 else ' ✓' if gain >= goal else ' ✗'} | {goal:.1f} |"


def machine_lines(cases, runs, rounds, peers):
    lines = []
    for threads in sorted({c.threads for c in cases}):
        row = next(figure(runs, c, "fovea", rounds).last for c in cases if c.threads == threads)
        lines.append(f"| {threads} | {row['fma_gflops']:.0f} | {row['triad_l1_gbs']:.0f} | {row['triad_l2_gbs']:.0f} | {row['triad_l3_gbs']:.0f} | {row['triad_gbs']:.0f} |")
    first = figure(runs, cases[0], "fovea", rounds).last
    text = f"{len(os.sched_getaffinity(0))} processors of {first['cpu']} ({first['cpu_level']}), {date.today()}. fovea {first['version']} ({first['revision']}), {peers}."
    return text, lines


def engines(cases, runs, rounds):
    found = {figure(runs, c, n, rounds).last["engine"] for c in cases for n in contenders(c, runs, 0)[1:] if figure(runs, c, n, rounds)}
    return ", ".join(sorted(found))


TRAIN_HEAD = """| network, 256 px | threads | fovea | GFLOP/s (of peak) | PyTorch stock | PyTorch tuned | fovea / tuned | goal | fovea / stock | spread: fovea, tuned |
|---|---|---|---|---|---|---|---|---|---|"""
INFER_HEAD = """| network | threads | fovea | GFLOP/s (of peak) | ONNX Runtime | PyTorch tuned | PyTorch stock | fovea / ONNX Runtime | goal | fovea / tuned PyTorch | spread: fovea, ONNX Runtime |
|---|---|---|---|---|---|---|---|---|---|---|"""
MEMORY_HEAD = """| one step, {} | fovea's plan | fovea | PyTorch stock | PyTorch tuned | ONNX Runtime | fovea / stock (train), / ONNX Runtime (infer) | goal |
|---|---|---|---|---|---|---|---|"""


def report(cases, runs, rounds, seconds, command):
    train, infer = ([c for c in cases if c.mode == mode] for mode in ("train", "infer"))
    text, limits = machine_lines(cases, runs, rounds, engines(cases, runs, rounds))
    most = max(c.threads for c in cases)
    widest = [c for c in cases if c.threads == most]
    parts = [
        "# Speed and memory beside PyTorch and ONNX Runtime",
        f"`{command}`: {text}",
        f"Float32. Every run is a process of its own; fovea and the others take turns for {rounds} round{'s' * (rounds > 1)}; a run is two steps to warm up and then {seconds:g} s of steps "
        "(at least 3 to train, 5 to infer), of which the median counts; times here are medians over rounds, `spread` is (slowest - fastest round) / median. "
        "Tuned: PyTorch with an allocator that never gives memory back (`MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=32000000000 MALLOC_TOP_PAD_=268435456 "
        "MALLOC_ARENA_MAX=1`) and its best memory format, for inference also traced, frozen and optimised if that is faster; stock: none of this. "
        "ONNX Runtime: exported at opset 17, all graph optimisations. GFLOP/s counts direct convolutions. ✓ and ✗: goal reached or not.",
        "The machine's limits, measured by `fovea bench` ([how](../bench.md)): multiply-adds in GFLOP/s, triad in GB/s.",
        "| threads | multiply-adds | L1 | L2 | L3 | memory |\n|---|---|---|---|---|---|\n" + "\n".join(limits),
    ]
    if train:
        parts += ["## Training step", "\n".join([TRAIN_HEAD, *(train_row(c, runs, rounds) for c in train)])]
    if infer:
        parts += ["## Inference, batch 1", "\n".join([INFER_HEAD, *(infer_row(c, runs, rounds) for c in infer)])]
    parts += ["## Peak memory of the process, MiB",
              "\n".join([MEMORY_HEAD.format(f"{most} thread{'s' * (most > 1)}"), *(memory_row(c, runs, rounds) for c in widest)])]
    if most > 1 and any(c.threads == 1 for c in cases):
        parts += [f"## {most} threads over one", "\n".join(["| | times as fast | goal, 2 threads |\n|---|---|---|", *(speed_up_row(c, most, runs, rounds) for c in widest)])]
    return "\n\n".join(parts) + "\n"


# ---- command ----

def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--only", action="append", metavar="NETWORK", help="this network (may be given again)")
    a.add_argument("--mode", choices=["train", "infer"], help="only this mode")
    a.add_argument("--threads", type=int, nargs="+", help="default: 1 and all processors")
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--seconds", type=float, default=4, help="of steps in a run (default 4)")
    a.add_argument("--quick", action="store_true", help="one round of one second: to see that everything runs")
    a.add_argument("--fresh", action="store_true", help="measure again what is kept")
    a.add_argument("--out", type=Path, help="default: docs/results/performance.md; build/peers/performance.md for a part or with --quick")
    a = a.parse_args()
    known = sorted({c.network for c in CASES})
    for name in a.only or []:
        if name not in known:
            sys.exit(f"bench_peers: --only {name}: no such network; there are {', '.join(known)}")
    if a.rounds < 1 or not a.seconds >= 0:
        sys.exit("bench_peers: --rounds must be 1 or more and --seconds 0 or more")
    if a.quick:
        a.rounds, a.seconds = 1, 1.0
    a.threads = a.threads or sorted({1, len(os.sched_getaffinity(0))})
    return a


def main():
    a = arguments()
    if not FOVEA.exists():
        sys.exit(f"bench_peers: there is no {FOVEA}; run make first")
    FOLDER.mkdir(parents=True, exist_ok=True)
    partial = a.quick or a.only or a.mode
    out = a.out or (FOLDER / "performance.md" if partial else ROOT / "docs" / "results" / "performance.md")
    runs = Runs(a.seconds)
    if a.fresh:
        runs.path.unlink(missing_ok=True)
        runs = Runs(a.seconds)
    cases = [replace(c, threads=t) for t in a.threads for c in CASES if (not a.only or c.network in a.only) and a.mode in (None, c.mode)]
    measure(cases, a.rounds, a.seconds, runs, peers_python())
    words = ["tools/bench_peers.py", *sys.argv[1:]] if sys.argv[1:] else ["make bench-peers"]
    out.write_text(report(cases, runs, a.rounds, a.seconds, " ".join(words)))
    print(f"wrote {out}", file=sys.stderr)


if __name__ == "__main__":
    main()
