"""How long each DAG file takes to parse, beside one that holds a single empty task.

    python -m tests.bench.bench_dags

Each file is imported in a process of its own that has `airflow.sdk` loaded already, as the DAG processor's children have.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent.parent
ROUNDS = 5
FILES = ("reserve_snapshot", "liability_snapshot", "reserve_attestation")
_EMPTY = """
from airflow.sdk import CronPartitionTimetable, dag, task
@dag(schedule=CronPartitionTimetable("0 16 17 * *", timezone="UTC"))
def empty():
    @task
    def nothing(): ...
    nothing()
empty()
"""
_PARSE = """
import sys, time, runpy
from airflow.sdk import CronPartitionTimetable, PartitionedAssetTimetable, Asset, Param, dag, task, task_group
started = time.perf_counter()
runpy.run_path(sys.argv[1])
print(time.perf_counter() - started)
"""


def measure() -> list[tuple[str, float, float]]:
    """Return name, median seconds and ratio to the empty file."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(_EMPTY)
        files = {"an empty DAG file (floor)": empty, **{f"dags/{name}.py": ROOT / "dags" / f"{name}.py" for name in FILES}}
        environment = os.environ | {"AIRFLOW_HOME": folder, "PYTHONPATH": str(ROOT / "plugins"), "ASSAY_CONFIG": str(ROOT / "assay.toml")}
        # Airflow writes a configuration on first use; that belongs to no file.
        _seconds(empty, environment)
        times: dict[str, list[float]] = {name: [] for name in files}
        for _ in range(ROUNDS):
            for name, path in files.items():
                times[name].append(_seconds(path, environment))
    floor = median(times["an empty DAG file (floor)"])
    return [(name, median(seconds), median(seconds) / floor) for name, seconds in times.items()]


def _seconds(path: Path, environment: dict[str, str]) -> float:
    done = subprocess.run([sys.executable, "-c", _PARSE, str(path)], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print a row per file."""
    for name, seconds, ratio in measure():
        print(f"{name:50} {seconds:8.3f} s {ratio:7.2f} x")


if __name__ == "__main__":
    main()
