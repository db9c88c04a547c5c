"""Airflow's three secrets, as far as they can be seen: those that are set here, and whether the API server has the same."""

from __future__ import annotations

import os
from collections.abc import Iterator

from assay.doctor.findings import Finding, failed, ok, skipped

_SUBJECT = "Airflow's secrets"
_JWT, _FERNET = "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY"
_ALL = (_JWT, _FERNET, "AIRFLOW__API__SECRET_KEY")
_NOT_SEEN = "what scheduler and workers have, no API tells: look where they run"


def check_environment() -> Iterator[Finding]:
    """Look at what is set here; components that read the same `.env` have the same."""
    unset = [name for name in _ALL if not os.environ.get(name)]
    if len(unset) == len(_ALL):
        yield skipped(_SUBJECT, "none is set here, so they stand in airflow.cfg or in the components' own environment")
        return
    if unset:
        words = f"{', '.join(unset)} is not set, and {'the others are' if len(unset) == 1 else 'the other one is'}"
        yield failed(_SUBJECT, words, "set all three, the same for every component")
    if not _is_fernet(os.environ.get(_FERNET, "")):
        yield failed(
            _SUBJECT,
            f"{_FERNET} is no Fernet key, which is 32 bytes in URL-safe BASE64",
            "make one with `openssl rand -base64 32 | tr +/ -_`, the same for every component",
        )
    elif not unset:
        yield ok(_SUBJECT, "all three are set here; every component must have the same, and those that `assay up` starts have it")


def check_api_server(token: str) -> Iterator[Finding]:
    """Hold the API server's secret against the one that is set here: it has accepted the token, so the token is signed with its own."""
    import jwt

    secret = os.environ.get(_JWT)
    if not secret:
        return
    try:
        jwt.decode(
            token,
            secret,
            algorithms=["HS512", "HS384", "HS256"],
            # The signature alone is asked for; whether the token holds is the server's to say.
            options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_iss": False, "verify_nbf": False},
        )
    except jwt.InvalidSignatureError:
        yield failed(
            _SUBJECT,
            f"the API server has another {_JWT} than the one that is set here, so tasks that get this one would die before their first line",
            "give every component the same, and start them anew",
        )
    except jwt.PyJWTError:
        yield skipped(_SUBJECT, "the API server's token is not signed with a shared secret")
    else:
        yield ok(_SUBJECT, f"the API server has the same {_JWT} as this environment; {_NOT_SEEN}")


def _is_fernet(keys: str) -> bool:
    """Tell whether it is one key or several, as Airflow takes them; an unset one is said elsewhere."""
    from cryptography.fernet import Fernet

    try:
        for key in keys.split(",") if keys else ():
            Fernet(key.strip().encode())
    except ValueError:
        return False
    return True
