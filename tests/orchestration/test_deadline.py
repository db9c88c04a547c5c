"""The deadline as Airflow keeps it: written with the DAG, read back through the plugin, evaluated in its database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, sys
from datetime import timedelta
from airflow.models.dagrun import DagRun
from airflow.serialization.decoders import decode_deadline_alert
from airflow.serialization.encoders import encode_deadline_alert
from airflow.serialization.enums import DagAttributeTypes, Encoding
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType
from assay.config import Settings
from assay.schedule import deadline

initdb()
alert = deadline(Settings.load())
read = decode_deadline_alert({Encoding.TYPE: DagAttributeTypes.DEADLINE_ALERT, Encoding.VAR: encode_deadline_alert(alert)})
found = {"path": read.callback.path, "times": []}
for number, (key, conf) in enumerate(json.loads(sys.argv[1])):
    with create_session() as session:
        session.add(DagRun(dag_id="reserve_snapshot", run_id=f"run{number}", run_type=DagRunType.MANUAL, partition_key=key, conf=conf))
        session.flush()
        time = read.reference.evaluate_with(session=session, interval=read.interval, dag_id="reserve_snapshot", run_id=f"run{number}")
        found["times"].append(time.isoformat())
        session.rollback()
print("FOUND" + json.dumps(found))
"""


def test_a_run_is_late_counted_from_its_moment_or_from_its_start_where_that_is_later(config_file: Path) -> None:
    with config_file.open("a") as file:
        file.write('[notices]\nwebhook_connection = "chat"\ndeadline_hours = 72\n')
    later = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    text = later.strftime("%Y-%m-%dT%H:%M:%SZ")
    runs = [(text, {}), (None, {"as_of": text}), ("2009-01-01T00:00:00Z", {}), (None, {}), ("yesterday", {})]
    variables = {
        "AIRFLOW_HOME": str(config_file.parent / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "ASSAY_CONFIG": str(config_file),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ASSAY"))}
    command = [sys.executable, "-c", PROGRAM, json.dumps(runs)]
    before = datetime.now(UTC)
    ended = subprocess.run(command, env={**kept, **variables}, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.rpartition("FOUND")[2])
    times = [datetime.fromisoformat(text) - timedelta(hours=72) for text in found["times"]]
    assert found["path"] == "assay.orchestration.notices.tell_missed_deadline"
    assert times[:2] == [later, later]
    assert all(before <= time <= datetime.now(UTC) for time in times[2:])
