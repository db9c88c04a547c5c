"""Proofs that whoever publishes an address holds its key: one module a family of schemes, behind `interface.py`."""
