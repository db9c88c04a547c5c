"""A small HTTP endpoint from which an exchange's website gets one user's inclusion proof.

`app.py` is the application, `reports.py` what it answers from, `gate.py`, `access.py` and `limits.py` who may ask and how often, `answers.py` what every answer
has in common, `service.py` all of it put together: for Airflow's API server (`orchestration/plugin.py`) or alone (`python -m
assay.proof_service`). Calls, configuration and deployment: `docs/proof_service.md`.
"""
