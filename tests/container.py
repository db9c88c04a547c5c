"""Carries out the steps of `deploy/Containerfile` where there is no container engine: `python -m tests.container`, as root on Linux.

In a mount namespace of its own, /home and /opt are empty, and a fresh virtual environment at /home/airflow/.local stands in for what Airflow's image
has there; COPY, RUN, ENV, WORKDIR and USER are carried out as the image's user. What this cannot show is the image itself: the packages that it
brings, its entry point, and whether its tag exists.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "deploy" / "Containerfile"
UV = Path(sys.executable).with_name("uv")
HOME = "/home/airflow/.local"
USER = "50000"


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a container file, continuation lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines.replace("\\\n", " ").splitlines() if line.strip()]


def script(context: str, kept: str) -> list[str]:
    """Return one shell script a stage.

    Args:
        context: Folder with the files that the build may copy.
        kept: Folder that outlives a stage, for `COPY --from`.
    """
    as_user = f"setpriv --reuid {USER} --regid 0 --clear-groups"
    stages: list[list[str]] = []
    for name, rest in instructions(FILE.read_text()):
        match name:
            case "FROM":
                stages.append(
                    [
                        "set -eu",
                        "mount -t tmpfs none /opt",
                        "mount -t tmpfs none /home",
                        f"mkdir -p {HOME} /opt/airflow",
                        # From the system's own Python, which any user can run.
                        f"{UV} venv --quiet --seed --allow-existing --python /usr/bin/python3 {HOME}",
                        f"chown -R {USER}:0 /home/airflow /opt/airflow",
                        f"export HOME=/home/airflow PATH={HOME}/bin:/usr/bin:/bin",
                    ]
                )
            case "WORKDIR":
                stages[-1].append(f"mkdir -p {rest} && chown {USER}:0 {rest} && cd {rest}")
            case "COPY":
                source, target = [word for word in shlex.split(rest) if not word.startswith("--")]
                place = kept + source if "--from" in rest else f"{context}/{source}"
                stages[-1].append(f"cp -r {place}{'/.' if source == '.' else ''} {target}")
                if "--chown" in rest:
                    stages[-1].append(f"chown -R {USER}:0 .")
            case "RUN":
                stages[-1].append(f"echo {shlex.quote('RUN ' + ' '.join(rest.split()))}; {as_user} sh -euc {shlex.quote(rest)}")
            case "ENV":
                stages[-1].append(f"export {rest}")
            case "USER":
                stages[-1].append(f"test {rest} = {USER}")
            case _:
                raise ValueError(f"this does not know {name}")
    stages[0].append(f"mkdir -p {kept}/opt/airflow/source && cp -r /opt/airflow/source/wheels {kept}/opt/airflow/source/")
    # What a deployment does first, as the image's user and from the image's own settings.
    look = "import json; from airflow.dag_processing.dagbag import DagBag; bag = DagBag(); print(json.dumps([sorted(bag.dags), bag.import_errors]))"
    stages[-1].append(
        f"export ASSAY_CONFIG={context}/example/assay.toml AIRFLOW_HOME=/opt/airflow; {as_user} python -c {shlex.quote(look)}"
    )
    return ["\n".join(stage) for stage in stages]


def main() -> int:
    """Carry the steps out; 0 only if the last stage finds its DAGs."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
        (folder / "context").mkdir()
        archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD", *allowed], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder / "context"], input=archive, check=True)
        example = subprocess.run(
            ["git", "-C", ROOT, "archive", "HEAD", "assay.toml", "data/registry"], check=True, capture_output=True
        ).stdout
        (folder / "context" / "example").mkdir()
        subprocess.run(["tar", "-x", "-C", folder / "context" / "example"], input=example, check=True)
        environment = {name: value for name, value in os.environ.items() if not re.match("PYTHON|ASSAY|AIRFLOW|VIRTUAL_ENV", name)}
        for stage in script(str(folder / "context"), str(folder / "kept")):
            done = subprocess.run(
                ["unshare", "--mount", "bash", "-c", stage], env=environment, stdout=subprocess.PIPE, text=True, check=False
            )
            sys.stdout.write(done.stdout)
            if done.returncode:
                return done.returncode
        dags, errors = json.loads(done.stdout.splitlines()[-1])
        return 0 if len(dags) == len(list((ROOT / "dags").glob("*.py"))) and not errors else 1


if __name__ == "__main__":
    sys.exit(main())
