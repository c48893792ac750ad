"""Several programs on one accelerator: compiled side by side, timed in turn.

    python side_by_side.py PROGRAMS.json OUT [SECONDS]

PROGRAMS.json is a list of objects with a `name`, an `experiment`, and what is to differ
from one training in bfloat16 by the lowering `gpu`: `pack`, `chunk`, `lowering`,
`dtype`; `code`, another checkout; `profile`, to have its kernels by name; `peer`, a
variant of the PyTorch loop instead. Each has a process of its own. What is not
compiled within SECONDS is left out. Writes OUT/NAME.json of each.
"""

import collections
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROUNDS = 5


def main(programs: Path, out: Path, seconds: float) -> None:
    out.mkdir(parents=True, exist_ok=True)
    wanted = json.loads(programs.read_text(encoding="utf-8"))
    workers = {}
    for spec in wanted:
        code = Path(spec.get("code", Path(__file__).parents[2])).resolve()
        env = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        env["PYTHONPATH"] = f"{code}:{env.get('PYTHONPATH', '')}"
        if spec.get("profile"):  # recorded kernels have no names
            env["XLA_FLAGS"] = "--xla_gpu_enable_command_buffer="
        with (out / f"{spec['name']}.log").open("w", encoding="utf-8") as log:
            workers[spec["name"]] = subprocess.Popen(
                [sys.executable, __file__, "--worker", json.dumps(spec), str(out)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env=env,
            )
    end = time.monotonic() + seconds
    while time.monotonic() < end and not all(
        (out / f"{name}.ready").exists() or worker.poll() is not None
        for name, worker in workers.items()
    ):
        time.sleep(0.5)
    ready = {}
    for name, worker in workers.items():
        if (out / f"{name}.ready").exists() and worker.poll() is None:
            ready[name] = worker
        else:
            print(f"{name}: not compiled", flush=True)
            worker.kill()
    # Those of a group take turns; the next group has the memory that they leave.
    groups = collections.defaultdict(list)
    for spec in wanted:
        if spec["name"] in ready:
            groups[spec.get("group", spec["name"])].append(ready[spec["name"]])
    for group in groups.values():
        for turn in ("warm", *["time"] * ROUNDS, "end"):
            for worker in group:
                _tell(worker, turn)
    for name in ready:
        file = out / f"{name}.json"
        print(
            file.read_text("utf-8") if file.exists() else f"{name}: failed", flush=True
        )


def _tell(worker: "subprocess.Popen[str]", turn: str) -> None:
    """Returns when it has done that, or is gone."""
    assert worker.stdin and worker.stdout
    try:
        worker.stdin.write(turn + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return
    while (line := worker.stdout.readline()) and line.strip() != "done":
        pass


def work(spec: dict[str, Any], out: Path) -> None:
    timed = _Peer(spec) if spec.get("peer") else _Program(spec)
    (out / f"{spec['name']}.ready").touch()
    for line in sys.stdin:
        if line.strip() == "end":
            break
        timed.turn(line.strip())
        print("done", flush=True)
    result = {
        **spec,
        **timed.result(),
        "created": time.strftime("%FT%TZ", time.gmtime()),
    }
    (out / f"{spec['name']}.json").write_text(json.dumps(result), encoding="utf-8")
    print("done", flush=True)


def _made(spec: dict[str, Any]) -> tuple[Any, Any, Any]:
    import dataclasses

    from jmer import shipped
    from jmer.bench.timing import bench_clips
    from jmer.data.splits import make_folds
    from jmer.experiment import load_experiment

    experiment = load_experiment(shipped.find(Path(spec["experiment"])))
    experiment = dataclasses.replace(
        experiment,
        model=experiment.model.without_files,
        dtype=spec.get("dtype", "bfloat16"),
    )
    clips = bench_clips(experiment).clips()
    return experiment, clips, make_folds(experiment.protocol, clips)


class _Program:
    """jmer's, with a compiled program for so many trainings."""

    def __init__(self, spec: dict[str, Any]):
        from jmer.runner.features import seen_by_tasks
        from jmer.runner.session import Session
        from jmer.train.probe import Layout, Probe, step_flops

        experiment, clips, folds = _made(spec)
        lowering = spec.get("lowering", "gpu")
        seen = seen_by_tasks(experiment.model, clips, lowering, print_err)
        session = Session(experiment, clips, folds, seen)
        self.pack = spec.get("pack", 1)
        work = session.work(session.tasks).first(self.pack)
        layout = Layout(1, spec.get("chunk", 1), lowering)
        self.steps = session.trainer.plan.steps
        self.flops = step_flops(session.trainer, session.data)
        self.probe = Probe(layout, work, steps=spec.get("steps"))
        self.times: list[tuple[float, float]] = []
        self.profile = spec.get("profile") and Path(f"/tmp/profile-{spec['name']}")

    def turn(self, turn: str) -> None:
        if turn == "warm":
            self.probe.warm_up()
            return
        evaluation = self.probe._run(0)
        self.times.append((self.probe._run(1) - evaluation, evaluation))

    def result(self) -> dict[str, Any]:
        import jax

        steps = round(self.steps * self.probe.share)
        step = [1e3 * t / steps / self.pack for t, _ in self.times]
        found = {
            "device": jax.local_devices()[0].device_kind,
            "versions": {"jax": jax.__version__, "python": sys.version.split()[0]},
            "steps_epoch": self.steps,
            "step_ms": [round(t, 4) for t in step],
            "evaluation_ms": [round(1e3 * e / self.pack, 3) for _, e in self.times],
            "compile_seconds": round(self.probe.compile_seconds, 1),
            "gigabytes": round(self.probe.bytes / 1e9, 3),
            "gflops_step": round(self.flops / 1e9, 1),
            "peak_gigabytes": round(
                (jax.local_devices()[0].memory_stats() or {}).get(
                    "peak_bytes_in_use", 0
                )
                / 1e9,
                3,
            ),
        }
        if self.profile:
            found["profile"] = self._profiled(steps)
        return found

    def _profiled(self, steps: int) -> dict[str, Any]:
        import jax

        with jax.profiler.trace(str(self.profile)):
            self.probe._run(1)
        (file,) = self.profile.rglob("*.xplane.pb")
        times: collections.Counter[str] = collections.Counter()
        counts: collections.Counter[str] = collections.Counter()
        for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
            if "GPU" not in plane.name:
                continue
            for line in plane.lines:
                if "Stream" not in line.name:
                    continue
                for event in line.events:
                    times[event.name] += event.duration_ns
                    counts[event.name] += 1
        return {
            "ms_step_in_kernels": round(sum(times.values()) / 1e6 / steps, 3),
            "kernels_step": round(counts.total() / steps),
            "dearest": [
                {"kernel": k[:100], "ms_step": round(t / 1e6 / steps, 4), "times": n}
                for (k, t) in times.most_common(70)
                for n in [round(counts[k] / steps, 2)]
            ],
        }


class _Peer:
    """The PyTorch loop, one fold after another."""

    def __init__(self, spec: dict[str, Any]):
        import torch

        from jmer.bench.torch_loop import Loop, variants

        experiment, clips, folds = _made(spec)
        variant = {one.name: one for one in variants(True)}[spec["peer"]]
        self.device = torch.cuda.get_device_name()
        self.version = torch.__version__
        self.loop = Loop(experiment, clips, folds[: spec.get("folds")], variant)
        start = time.monotonic()
        self.loop.epoch_seconds()
        self.first = time.monotonic() - start
        self.times: list[float] = []

    def turn(self, turn: str) -> None:
        seconds = self.loop.epoch_seconds()
        if turn != "warm":
            self.times.append(seconds)

    def result(self) -> dict[str, Any]:
        return {
            "device": self.device,
            "versions": {"torch": self.version},
            "epoch_ms": [round(1e3 * t, 2) for t in self.times],
            "first_seconds": round(self.first, 1),
        }


def print_err(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        work(json.loads(sys.argv[2]), Path(sys.argv[3]))
    else:
        limit = float(sys.argv[3]) if len(sys.argv) > 3 else 300
        main(Path(sys.argv[1]), Path(sys.argv[2]), limit)
