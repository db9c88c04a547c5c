# ruff: noqa: INP001  (a script, not a module)
"""Compile the sandbox's Vyper contracts into artifacts; run with a Python that has vyper (see README.md)."""

from __future__ import annotations

import json
from pathlib import Path

import vyper  # type: ignore[import-not-found]
from vyper import compiler

FOLDER = Path(__file__).parent


def main() -> None:
    """Write `<name>.json` beside every `<name>.vy`."""
    for source in sorted(FOLDER.glob("*.vy")):
        output = compiler.compile_code(
            source.read_text(), contract_path=source.name, output_formats=["abi", "bytecode", "bytecode_runtime"]
        )
        artifact = {
            "name": source.stem,
            "source": source.name,
            "compiler": {"name": "vyper", "version": vyper.__version__},
            "settings": {"evm_version": "shanghai", "optimize": "gas"},
            "abi": output["abi"],
            "bytecode": output["bytecode"],
            "runtime": output["bytecode_runtime"],
        }
        source.with_suffix(".json").write_text(json.dumps(artifact, indent=1) + "\n")


if __name__ == "__main__":
    main()
