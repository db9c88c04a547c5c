"""Assay: reserve attestation for custodians of crypto assets."""

__version__ = "0.1.0"
