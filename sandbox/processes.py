"""Servers on loopback as child processes: those of `assay up`, which the sandbox's nodes are started with too."""

from assay.orchestration.processes import HOST, Process, StartError, free_port, listens

__all__ = ["HOST", "Process", "StartError", "free_port", "listens"]
