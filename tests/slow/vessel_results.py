#!/usr/bin/env python3
"""The tables of docs/results/vessels.md. usage: vessel_results.py FOVEA RUNS (FOVEA_DATA in the environment)"""
import csv
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

FOVEA, RUNS = sys.argv[1], Path(sys.argv[2])
DATA = Path(os.environ["FOVEA_DATA"])
WORK = RUNS / "vessel_results"

SETS = {"drive": "DRIVE", "chase_db1": "CHASE_DB1", "hrf": "HRF"}  # folders below FOVEA_DATA
DEGREES = {"drive": 45, "chase_db1": 30, "hrf": 60}  # that the cameras see
IN_DOMAIN = {  # runs by the set they are tested on
    "drive": ["vessel_unet_drive", "vessel_se_drive", "vessel_resunet_drive", "vessel_tiny_drive"],
    "chase_db1": ["vessel_unet_chase"],
    "hrf": ["vessel_unet_hrf"],
}
NATIVE = {"drive": "vessel_native_drive", "chase_db1": "vessel_native_chase", "hrf": "vessel_native_hrf"}  # one run a training set
SCALED = {"drive": "vessel_cross_drive", "chase_db1": "vessel_cross_chase", "hrf": "vessel_cross_hrf"}
CROSS = [("Without scale normalisation (`preprocess.fit = native`)", NATIVE, False),
         ("By the FOV's diameter alone (the angle of the test set's camera is not told)", SCALED, False),
         ("By the FOV's diameter and the camera's angle", SCALED, True)]
ALL = "vessel_all"

# Dice that the field publishes, each trained and tested on the set named, as this project's reference collects it (part
# D): M2U-Net of Laibacher et al. 2019, LWNet of Galdran et al. 2022, U-Net of Ronneberger et al. 2015.
PUBLISHED = [("M2U-Net, published", "0.55 M", {"drive": ".802", "chase_db1": ".798", "hrf": ".796 (half size)"}),
             ("LWNet, published", "0.07 M", {"drive": ".828", "chase_db1": ".820", "hrf": ".814 (half size)"}),
             ("U-Net, published", "25.8 M", {"drive": ".825", "chase_db1": ".807", "hrf": ".811 (half size)"}),
             ("best published", "", {"drive": ".832", "chase_db1": ".820-.836", "hrf": ".816 (half size)"}),
             ("second reader, as printed", "", {"drive": ".788", "chase_db1": ".768"})]


# ---- measuring ----

def model_of(run):
    return RUNS / run / "best.safetensors"


def there(run):
    return model_of(run).is_file()


def fovea(*words):
    print("fovea", *words, file=sys.stderr)
    return subprocess.run([FOVEA, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True).stdout


def evaluate(run, name, *words):
    """An evaluation of the run and its folder; made unless there is one newer than model and program. On several sets that of the model file: without flips."""
    folder = WORK / run / name
    done = folder / ("sets.json" if "--on" in words else "evaluation.json")
    newest = max(path.stat().st_mtime for path in (model_of(run), Path(FOVEA)))
    if not done.is_file() or done.stat().st_mtime < newest:
        fovea("eval", model_of(run) if "--on" in words else RUNS / run, *words, "--out", folder, "--quiet")
    return json.loads(done.read_text()), folder


def test_figures(run):
    return evaluate(run, "test", "--split", "test")[0]


def in_domain_figures(run, name):
    """On the run's test photographs of one set, whatever else it was tested on."""
    _, folder = evaluate(run, "test", "--split", "test")
    with open(folder / "images.csv", newline="") as stream:
        sets = {row["set"] for row in csv.DictReader(stream)}
    return test_figures(run) if len(sets) == 1 else own_test_by_set(run)[name]


def cross_figures(run, on, angles):
    """{set: evaluation} on all photographs of other sets, without test-time flips, which would take four times as long."""
    sets = ",".join(f"{DATA / s}:{DEGREES[s]}" if angles else str(DATA / s) for s in on)
    root, _ = evaluate(run, "cross_angles" if angles else "cross", "--on", sets, "--split", "all")
    return {name: item["figures"] for name, item in root["sets"].items()}


def own_test_by_set(run):
    """{set: evaluation} on the run's test photographs of each set: those that its test evaluation lists."""
    _, folder = evaluate(run, "test", "--split", "test")
    names = {}
    with open(folder / "images.csv", newline="") as stream:
        for row in csv.DictReader(stream):
            names.setdefault(row["set"], set()).add(row["name"])
    figures = {}
    for name, wanted in names.items():
        found = [s for s in SETS if s.startswith(name) or name.startswith(s)]
        if found:
            figures[found[0]] = evaluate(run, f"test_{found[0]}", "--manifest", subset(run, found[0], wanted), "--root", DATA / found[0], "--split",
                                         "all", "--fov-degrees", DEGREES[found[0]])[0]
    return figures


def subset(run, name, wanted):
    """A table of the set's rows whose names are wanted."""
    with open(DATA / name / "index.csv", newline="") as stream:
        rows = [row for row in csv.reader(stream)]
    at = rows[0].index("name")
    path = WORK / run / f"{name}.csv"
    with open(path, "w", newline="") as stream:
        csv.writer(stream).writerows([rows[0]] + [row for row in rows[1:] if row[at] in wanted])
    return path


def parameters(run):
    return int(re.search(r"^parameters\s+(\d+) trainable", fovea("inspect", RUNS / run), re.M)[1])


def minutes(run):
    with open(RUNS / run / "history.csv", newline="") as stream:
        return sum(float(row["seconds"]) for row in csv.DictReader(stream)) / 60


# ---- printing ----

def estimate(e):
    return f"{e['mean']:.4f} [{e['lo']:.3f}, {e['hi']:.3f}]"


def number(value, form=".4f"):
    return "-" if value is None else format(value, form)


def mean(e):
    return number(e["mean"]) if e else "-"


def missing(runs):
    absent = [run for run in runs if not there(run)]
    if absent:
        print("\nNot trained here: " + ", ".join(absent) + ".")


def scores(v):
    return (f"{estimate(v['dice'])} | {mean(v.get('auc'))} | {number(v.get('pooled_auc'))} | {mean(v['recall'])} | {mean(v['specificity'])} "
            f"| {mean(v['accuracy'])} | {mean(v.get('cldice'))}")


HEADER = "Dice [95 %] | AUC | AUC, pooled | sensitivity | specificity | accuracy | clDice"


def in_domain():
    print("\n## Trained and tested on the same set\n")
    print("Each run's own test split: DRIVE's official 20, CHASE_DB1's 8, 15 of HRF's 45 held out by seed, balanced by group.")
    for name, runs in IN_DOMAIN.items():
        print(f"\n### {SETS[name]}\n\n| | n | parameters | minutes | threshold | {HEADER} |\n|---|---|---|---|---|---|---|---|---|---|---|---|")
        second = None
        for run in filter(there, runs):
            f = in_domain_figures(run, name)
            v = f["classes"]["vessel"]
            second = v.get("second_reader", second)
            threshold = re.search(r"vessel \(threshold ([0-9.]+)\)", fovea("inspect", RUNS / run))[1]
            print(f"| {run} | {f['n']} | {parameters(run):,} | {minutes(run):.1f} | {threshold} | {scores(v)} |")
        if second:
            print(f"| second reader | {second['dice']['n']} | | | | {scores(second)} |")
        for title, size, dice in PUBLISHED:
            if name in dice:
                print(f"| {title} | | {size} | | | {dice[name]} | | | | | | |")
        missing(runs)


def cross():
    print("\n## Trained on one set, tested on all of the others\n\nWithout test-time flips, threshold from the training set's own validation photographs. "
          "The runs differ in `preprocess.fit` only\n(configs/vessel_cross_*.ini): the same windows, steps and augmentation. Minutes are those of a machine that was "
          "busy with other work.")
    for title, runs, angles in CROSS:
        print(f"\n### {title}\n\n| trained on | " + " | ".join(SETS.values()) + " |\n|---|" + "---|" * len(SETS))
        found = []
        for own, run in runs.items():
            if not there(run):
                continue
            others = [s for s in SETS if s != own]
            dice = {s: f["classes"]["vessel"]["dice"]["mean"] for s, f in cross_figures(run, others, angles).items()}
            found += dice.values()
            print(f"| {SETS[own]} ({run}, {minutes(run):.1f} minutes) | " + " | ".join(f"{dice[s]:.4f}" if s in dice else "own" for s in SETS) + " |")
        if found:
            print(f"\nDice: lowest {min(found):.4f}, mean {sum(found) / len(found):.4f} of {len(found)}.")
        missing(runs.values())


def all_sets():
    print("\n## One model trained on all sets\n")
    if not there(ALL):
        return missing([ALL])
    print(f"{ALL}: {parameters(ALL):,} parameters, {minutes(ALL):.1f} minutes, its test photographs of each set.\n")
    print(f"| set | n | {HEADER} |\n|---|---|---|---|---|---|---|---|---|")
    for name, f in own_test_by_set(ALL).items():
        print(f"| {SETS[name]} | {f['n']} | {scores(f['classes']['vessel'])} |")


def density_row(title, n, d):
    print(f"| {title} | {n} | {number(d['ccc'], '.3f')} | {number(d['r'], '.3f')} | {number(d['bias'], '+.4f')} "
          f"| {number(d['relative_bias'] and 100 * d['relative_bias'], '+.1f')} % | {number(d['mae'])} |")


def pooled():
    """The first run of each set, all test photographs together: what varies between cameras and groups counts too."""
    pairs = []
    for name, runs in IN_DOMAIN.items():
        if not there(runs[0]):
            return
        _, folder = evaluate(runs[0], "test", "--split", "test")
        with open(folder / "images.csv", newline="") as stream:
            pairs += [(float(row["vessel_density"]), float(row["vessel_density_truth"])) for row in csv.DictReader(stream)]
    x, y = zip(*pairs)
    n, mx, my = len(x), sum(x) / len(x), sum(y) / len(y)
    vx, vy = sum((a - mx) ** 2 for a in x) / n, sum((b - my) ** 2 for b in y) / n
    both = sum((a - mx) * (b - my) for a, b in pairs) / n
    density_row("U-Nets, test photographs of the three sets together", n,
                {"ccc": 2 * both / (vx + vy + (mx - my) ** 2), "r": both / (vx * vy) ** 0.5, "bias": mx - my, "relative_bias": (mx - my) / my,
                 "mae": sum(abs(a - b) for a, b in pairs) / n})


def density():
    print("\n## Vessel density\n\nPredicted against expert masks (vessel px / FOV px), the photographs of the tables above.\n")
    print("| run, set | n | concordance | r | bias | relative bias | MAE |\n|---|---|---|---|---|---|---|")
    for name, runs in IN_DOMAIN.items():
        second = None
        for run in filter(there, runs):
            f = in_domain_figures(run, name)
            second = f.get("vessel_density_second", second)
            density_row(f"{run}, {SETS[name]} test", f["n"], f["vessel_density"])
        if second:
            density_row(f"second reader, {SETS[name]} test", second["n"], second)
    pooled()
    if there(ALL):
        for name, f in own_test_by_set(ALL).items():
            density_row(f"{ALL}, {SETS[name]} test", f["n"], f["vessel_density"])
        f = test_figures(ALL)
        density_row(f"{ALL}, all test photographs", f["n"], f["vessel_density"])


def commands():
    print("\n## Commands\n\n```")
    runs = [r for names in IN_DOMAIN.values() for r in names] + [*NATIVE.values(), *SCALED.values()] + [ALL]
    for run in filter(there, runs):
        print(f"fovea train RUNS/{run}/config.ini    # a run's config.ini holds all settings in force\nfovea eval RUNS/{run} --split test")
    print("fovea eval RUNS/vessel_cross_drive --on chase_db1:30,hrf:60 --split all\nRUNS=... FOVEA_DATA=... make vessel-results\n```")


def cpu():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else "unknown CPU"


revision = subprocess.run(["git", "describe", "--always", "--abbrev=12"], capture_output=True, text=True).stdout.strip()
print(f"""# Vessels

`make vessel-results`, {date.today()}, {cpu()}, revision {revision}. One seed a run, best epoch by validation, threshold chosen on the validation
photographs, measured at each photograph's own size inside the field of view ([definitions](../evaluation.md)). Brackets: 95 % bootstrap interval over
photographs. AUC: mean over photographs; pooled: of all pixels of the split together, which is what papers print. Minutes: training with validation, on that
machine. Research software, not a medical device.""")
for section in (in_domain, cross, all_sets, density, commands):
    section()
