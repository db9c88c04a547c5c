"""Worker processes where the main module cannot be imported a second time, as in a task of an Airflow that was started by its console script."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAIN = """#!{python}
import os, sys
if os.environ.pop("ONLY_ONCE", None) is None:
    raise SystemExit("the main module was imported again")
{body}
"""
DO = """
import math
from assay.commitments.workers import workers
with workers(2, math.pi.hex) as do:
    print(do({task}, {arguments}))
"""


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    program = folder / "airflow"  # without .py, as console scripts are
    program.write_text(MAIN.format(python=sys.executable, body=body))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join(str(ROOT / part) for part in ("plugins", "verifier/src", "."))
    environment = os.environ | {"ONLY_ONCE": "1", "PYTHONPATH": path}
    return subprocess.run([str(program)], env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_build_does_not_import_the_main_module_again(tmp_path: Path) -> None:
    done = run(tmp_path, DO.format(task="math.sqrt", arguments="[(4,), (9,)]"))
    assert (done.returncode, done.stdout.strip()) == (0, "[2.0, 3.0]"), done.stderr


def test_a_daemonic_process_builds_alone_and_says_so(tmp_path: Path) -> None:
    body = "\n".join(
        [
            "import logging, multiprocessing",
            "logging.basicConfig(level=logging.INFO)",
            "def work():",
            *(f"    {line}" for line in DO.format(task="math.sqrt", arguments="[(4,), (9,)]").splitlines()),
            "child = multiprocessing.get_context('fork').Process(target=work, daemon=True)",
            "child.start()",
            "child.join()",
            "sys.exit(child.exitcode)",
        ]
    )
    done = run(tmp_path, body)
    assert (done.returncode, done.stdout.strip()) == (0, "[2.0, 3.0]"), done.stderr
    assert "builds the tree alone" in done.stderr


@pytest.mark.parametrize(
    ("task", "arguments", "words", "not_said"),
    [
        ("os._exit", "[(3,)]", "ended by itself (EXIT(3)", "memory"),
        ("exec", "[('import os, signal; os.kill(os.getpid(), signal.SIGKILL)',)]", "was killed (SIGKILL)", "ended by itself"),
    ],
)
def test_the_error_says_how_a_process_ended(tmp_path: Path, task: str, arguments: str, words: str, not_said: str) -> None:
    done = run(tmp_path, DO.format(task=task, arguments=arguments))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "CommitmentError" in last
    assert words in last
    assert not_said not in last


def test_the_verifier_checks_a_list_from_any_main_module(tmp_path: Path) -> None:
    body = """
import math
from assay_verify.processes import processes
with processes(2, next_step="-") as executor:
    print(list(executor.map(math.sqrt, [4, 9])))
"""
    done = run(tmp_path, body)
    assert (done.returncode, done.stdout.strip()) == (0, "[2.0, 3.0]"), done.stderr


def test_a_process_that_fails_at_an_import_is_told_with_the_imports_own_words(tmp_path: Path) -> None:
    (tmp_path / "only_in_the_first_process.py").write_text(
        'import os\nif os.environ["FIRST"] != str(os.getpid()):\n    raise ImportError("the library it needs is not here")\ndef work(number): ...\n'
    )
    body = f"""
sys.path.insert(0, {str(tmp_path)!r})
os.environ["FIRST"] = str(os.getpid())
import only_in_the_first_process
{DO.format(task="only_in_the_first_process.work", arguments="[(1,), (2,)]")}
"""
    done = run(tmp_path, body)
    last = done.stderr.strip().splitlines()[-1]
    assert (done.returncode, "CommitmentError" in last, "memory" in last) == (1, True, False)
    assert "could not go on (ImportError: the library it needs is not here)" in last


TREE = """
from pathlib import Path
from tests.commitments.ledger import commit_to, report_of, some_users
from assay_verify.sum_tree import tree
folder = Path({folder!r})
assets = {{"BTC": 8, "ETH": 18}}
made = commit_to(report_of(assets), some_users(500, assets=assets), folder, processes=2, memory_limit="4GB")
alone = commit_to(report_of(assets), some_users(500, assets=assets), folder / "alone", processes=1)
"""
VERIFY = """
found = tree.verify(folder / "tree", processes=2)
print(made.root_hash == alone.root_hash, len(found.findings.checks) > 2, [check.name for check in found.findings.checks if check.failures])
"""


def test_a_whole_tree_is_built_and_verified_from_a_console_script(tmp_path: Path) -> None:
    done = run(tmp_path, TREE.format(folder=str(tmp_path)) + VERIFY)
    assert (done.returncode, done.stdout.strip()) == (0, "True True []"), done.stderr


def test_the_verifier_checks_alone_in_a_daemonic_process(tmp_path: Path) -> None:
    body = [
        *TREE.format(folder=str(tmp_path)).splitlines(),
        "import multiprocessing",
        "def work():",
        *(f"    {line}" for line in VERIFY.splitlines()),
        "child = multiprocessing.get_context('fork').Process(target=work, daemon=True)",
        "child.start()",
        "child.join()",
        "sys.exit(child.exitcode)",
    ]
    done = run(tmp_path, "\n".join(body))
    assert (done.returncode, done.stdout.strip()) == (0, "True True []"), done.stderr
