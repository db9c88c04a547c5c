"""`python -m assay.proof_service`: the service alone, without Airflow's API server."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Sequence
from pathlib import Path

from assay.config import Settings
from assay.connections import secret_of
from assay.errors import AssayError, ConfigError
from assay.proof_service.access import read_access

_MAX_CONNECTIONS = 512
_IDLE_SECONDS = 5
_STOP_SECONDS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; returns 1 where the service refuses to start."""
    given = _parser().parse_args(arguments)
    try:
        _check_address(given)
        settings = Settings.load()
        # Both are read again when they are needed; a service that could answer nobody is better not started.
        read_access()
        secret_of(settings.ledger.pseudonym_connection)
    except AssayError as error:
        sys.stderr.write(f"assay.proof_service: {error}\n")
        return 1

    import uvicorn

    import assay.commitments.proving  # noqa: F401 (takes a second, which the first caller would wait)
    from assay.proof_service.service import from_settings

    # Airflow's logging is set up by now, as in a task. Its own lines say more than an access log, and a path that a caller made up is in none.
    uvicorn.run(
        from_settings(settings, openapi=given.openapi),
        host=given.host,
        port=given.port,
        ssl_certfile=given.certificate,
        ssl_keyfile=given.key,
        proxy_headers=bool(given.proxy),
        forwarded_allow_ips=given.proxy,
        server_header=False,
        log_config=None,
        access_log=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m assay.proof_service",
        description="Give an exchange's website its users' inclusion proofs over HTTP. The configuration is the file that ASSAY_CONFIG names; who may ask "
        "stands in the Airflow Connection assay_proof_service.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8190, help="port to listen on (%(default)s)")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="serve HTTPS with this certificate")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the certificate's key")
    parser.add_argument(
        "--plain-http", action="store_true", help="listen beyond this machine without a certificate: TLS ends at a proxy before it"
    )
    parser.add_argument("--proxy", metavar="ADDRESS", help="believe this proxy when it says whom it asks for (X-Forwarded-For)")
    parser.add_argument("--openapi", action="store_true", help="describe the calls to everybody at /openapi.json")
    return parser


def _check_address(given: argparse.Namespace) -> None:
    if bool(given.certificate) != bool(given.key):
        raise ConfigError(
            "a certificate and its key belong together", subject="--certificate", next_step="name both --certificate and --key"
        )
    for path in filter(None, (given.certificate, given.key)):
        if not path.is_file():
            raise ConfigError("there is no such file", subject=str(path), next_step="name the certificate's and the key's files in PEM")
    try:
        local = given.host == "localhost" or ipaddress.ip_address(given.host).is_loopback
    except ValueError:
        local = False
    if not local and not given.certificate and not given.plain_http:
        raise ConfigError(
            "beyond this machine, tokens and users' balances would travel in clear text",
            subject=f"--host {given.host}",
            next_step="name --certificate and --key, or say --plain-http where a proxy before it speaks TLS",
        )


if __name__ == "__main__":
    sys.exit(main())
