"""A real ledger, once a session, and ways to see it (or a few rows of one's own) through other views."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from assay.config import Settings
from sandbox import accounts
from sandbox.ledger import Ledger
from sandbox.ledger import ledger as run_ledger

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def plan() -> accounts.LedgerPlan:
    return accounts.ledger(litecoin=False)


@pytest.fixture(scope="session")
def ledger(plan: accounts.LedgerPlan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with run_ledger(tmp_path_factory.mktemp("ledger"), plan) as running:
        yield running


@pytest.fixture
def settings(config_file: Path) -> Settings:
    return Settings.load(config_file)


def with_ledger(settings: Settings, **changes: Any) -> Settings:
    """Return the settings with another `[ledger]`."""
    return dataclasses.replace(settings, ledger=dataclasses.replace(settings.ledger, **changes))


class Views(Protocol):
    """Creates a schema with the three views and returns settings that read it."""

    def __call__(self, *, balances: str = ..., totals: str = ..., flows: str = ...) -> Settings: ...


@pytest.fixture
def owner(ledger: Ledger) -> Iterator[psycopg.Connection]:
    with psycopg.connect(ledger.owner_uri, autocommit=True) as connection:
        yield connection


@pytest.fixture
def views(owner: psycopg.Connection, settings: Settings) -> Views:
    def create(
        *,
        balances: str = "select * from public.assay_balances",
        totals: str = "select * from public.assay_control_totals",
        flows: str = "select * from public.assay_flows",
    ) -> Settings:
        schema = f"Test Schema {next(_NUMBERS)}"
        owner.execute(f'create schema "{schema}"')
        for name, query in (("assay_balances", balances), ("assay_control_totals", totals), ("assay_flows", flows)):
            owner.execute(f'create view "{schema}".{name} as {query}')
        owner.execute(f'grant usage on schema "{schema}" to assay')
        owner.execute(f'grant select on all tables in schema "{schema}" to assay')
        return with_ledger(settings, schema=schema)

    return create
