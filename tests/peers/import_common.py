"""What the checks of imported weights against Keras and against PyTorch have in common: running fovea, comparing, the table's rows."""
import json
import os
import struct
import subprocess
import sys

import numpy as np

FEATURES = ("b1", "b3", "b6", "b13", "head")
LIMIT = 1e-3  # relative: norm of the difference over norm of the framework's


def read_safetensors(path):
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header, data = json.loads(file.read(length)), file.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[slice(*t["data_offsets"])], np.float32).reshape(t["shape"]) for name, t in header.items()}


class Checker:
    def __init__(self, build, work):
        self.fovea, self.program, self.work, self.failed = f"{build}/fovea", f"{build}/slow/import_features", work, 0

    def path(self, name):
        return os.path.join(self.work, name)

    def _run(self, *words):
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(words)}\n{done.stderr}")
        return done.stdout

    def row(self, what, file, found, ours, theirs):
        errors = {name: float(np.linalg.norm(ours[name] - t) / np.linalg.norm(t)) for name, t in theirs.items()}
        for name, t in theirs.items():
            assert ours[name].shape == t.shape, (name, ours[name].shape, t.shape)
        worst = max(errors, key=errors.get)
        self.failed += not errors[worst] <= LIMIT
        print(f"| {what} | {os.path.basename(file)} | {found} | {errors[worst]:.1e}{' (' + worst + ')' if len(errors) > 1 else ''} | {'yes' if errors[worst] <= LIMIT else '**NO**'} |", flush=True)

    def encoder(self, what, file, width, convention, image, theirs):
        """`theirs`: the framework's five features, {height, width, channels} each, of the same normalised image. The file itself is loaded, and
        what fovea import makes of it; both must give the same."""
        np.savez(self.path("input.npz"), image.astype(np.float32))
        imported, out, direct = self.path("encoder.safetensors"), self.path("out.safetensors"), self.path("direct.safetensors")
        report = self._run(self.fovea, "import", file, "--as", "encoder", "--out", imported)
        assert f"width {width:g}, {convention} convention" in report, report
        self._run(self.program, "encoder", imported, str(width), convention, self.path("input.npz"), out)
        self._run(self.program, "encoder", file, str(width), convention, self.path("input.npz"), direct)
        ours, same = read_safetensors(out), read_safetensors(direct)
        assert all(np.array_equal(ours[n], same[n]) for n in FEATURES), "import and direct loading differ"
        self.row(what, file, f"width {width:g}, {convention}", ours, dict(zip(FEATURES, theirs)))

    def model(self, what, file, network, image, logits, *options):
        np.savez(self.path("input.npz"), image.astype(np.float32))
        model, out = self.path("model.safetensors"), self.path("out.safetensors")
        report = self._run(self.fovea, "import", file, "--as", "model", "--network", network, "--out", model, *options)
        found = next(line for line in report.splitlines() if line.startswith("network")).split(None, 1)[1].split(", class")[0]
        self._run(self.fovea, "inspect", model)
        self._run(self.program, "model", model, self.path("input.npz"), out)
        self.row(what, file, found, read_safetensors(out), {"logits": logits})
