"""Validates Parquet files with Great Expectations, pushed down into DuckDB.

Rows stay in DuckDB: Great Expectations sends SQL and gets counts and a few failing rows back. Importing it takes many
seconds, so one call can validate many files. It is kept from phoning home, from drawing progress bars and from writing
anywhere but the given folders.
"""
# ruff: noqa: S608 - statements are built from suites and from quoted names and paths, never from data.

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from assay.errors import QualityCrashError, QualityError
from assay.quality import dialect
from assay.quality.outcomes import SHOWN_ROWS, Outcome, outcome_of
from assay.quality.suites import EXPECTATIONS, Suite
from assay.warehouse.session import THREADS, quote_name, read_parquet

_SHOWN_FILES = 3


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A Parquet file, or the files of one dataset, and what they are to be held against.

    Attributes:
        name: Of the dataset, and of its suite.
        parquet: The file, or the files of one dataset.
        parameters: Values for the suite's queries, such as `as_of`.
    """

    name: str
    parquet: Path | list[Path]
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A warning: an expectation that did not hold and does not stop the attestation. The columns are those of `coverage`.

    Attributes:
        item: `quality:<dataset>:<expectation>`.
        area: Always `quality`.
        severity: Always `warning`.
        count: Rows that break the rule, or None when it is not about single rows.
        description: The rule and the first rows that break it.
    """

    item: str
    area: str
    severity: str
    count: int | None
    description: str


def validate(
    dataset: str,
    parquet: Path | list[Path],
    *,
    parameters: Mapping[str, object] | None = None,
    work: Path,
    docs: Path | None = None,
    expectations: Path = EXPECTATIONS,
) -> list[Finding]:
    """Validate one dataset; see `validate_many`."""
    return validate_many(
        [Dataset(name=dataset, parquet=parquet, parameters=parameters or {})], work=work, docs=docs, expectations=expectations
    )


def validate_many(
    datasets: Sequence[Dataset], *, work: Path, docs: Path | None = None, expectations: Path = EXPECTATIONS, memory_limit: str = "2GB"
) -> list[Finding]:
    """Hold datasets of different names against their suites.

    All of them are validated, and the Data Docs built, before an error is raised.

    Args:
        datasets: What to validate.
        work: Folder for DuckDB's files, removed at the end.
        docs: Folder that receives a static site of suites and results (`index.html`).
        expectations: Folder of the suites.
        memory_limit: For each DuckDB connection, in its notation.

    Returns:
        The warnings, in the order of datasets and expectations.

    Raises:
        QualityCrashError: A suite or file cannot be read, a parameter is missing, or an expectation could not be evaluated.
        QualityError: A critical expectation failed; names file, rule and first failing rows.
    """
    suites = [Suite.load(dataset.name, expectations) for dataset in datasets]
    for dataset, suite in zip(datasets, suites, strict=True):
        if missing := sorted(suite.parameters - set(dataset.parameters)):
            raise QualityCrashError(
                f"the parameter {missing[0]} is missing", subject=str(suite.path), next_step="hand it to the validation"
            )
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="quality-") as folder:
        context = _context(docs)
        results = [_run(context, dataset, suite, Path(folder), memory_limit) for dataset, suite in zip(datasets, suites, strict=True)]
        if docs is not None:
            context.build_data_docs(site_names=["assay"])
    for dataset, result in zip(datasets, results, strict=True):
        _raise_crashes(dataset, result)
    for dataset, result in zip(datasets, results, strict=True):
        _raise_failures(dataset, result)
    return [
        _finding(dataset, outcome) for dataset, result in zip(datasets, results, strict=True) for outcome in result if not outcome.success
    ]


def _finding(dataset: Dataset, outcome: Outcome) -> Finding:
    return Finding(
        item=f"quality:{dataset.name}:{outcome.name}",
        area="quality",
        severity="warning",
        count=outcome.count,
        description=f"Not as expected of {dataset.name}: {outcome.rule} {outcome.shown}.",
    )


def _context(docs: Path | None) -> Any:
    # Read when the package is first imported.
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    import great_expectations as gx

    dialect.register()
    # Great Expectations' own annotations leave out much of what it takes.
    context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    for site in context.get_site_names():
        context.delete_data_docs_site(site)
    if docs is not None:
        docs.mkdir(parents=True, exist_ok=True)
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
        index = {"class_name": "DefaultSiteIndexBuilder"}
        site = {"class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": store, "site_index_builder": index}
        context.add_data_docs_site("assay", site)
    return context


def _run(context: Any, dataset: Dataset, suite: Suite, folder: Path, memory_limit: str) -> list[Outcome]:
    import great_expectations as gx
    from great_expectations.datasource.fluent.interfaces import TestConnectionError
    from great_expectations.exceptions.exceptions import GreatExpectationsError
    from sqlalchemy.exc import SQLAlchemyError

    database = folder / f"{dataset.name}.duckdb"
    config = {
        "memory_limit": memory_limit,
        "threads": str(THREADS),
        "temp_directory": str(folder / "spill"),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    try:
        _create_views(database, dataset)
        source = context.data_sources.add_sql(
            dataset.name, connection_string=f"duckdb:///{database}", kwargs={"connect_args": {"config": config}}
        )
        batch = source.add_table_asset(dataset.name, table_name=dataset.name).add_batch_definition_whole_table("all rows")
        expected = context.suites.add(
            gx.ExpectationSuite(name=dataset.name, expectations=list(suite.expectations), meta={"key": list(suite.key)})
        )
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=dataset.name, data=batch, suite=expected))
        shown = {"result_format": "SUMMARY", "unexpected_index_column_names": list(suite.key), "partial_unexpected_count": SHOWN_ROWS}
        result: Any = definition.run(result_format=shown)
        engine = source.get_execution_engine().engine
        # Great Expectations orders results its own way; ours follow the suite.
        found = {item.expectation_config.meta["name"]: item for item in result.results}
        outcomes = [outcome_of(item, found[item["meta"]["name"]], quote_name(dataset.name), engine) for item in suite.expectations]
        engine.dispose()
    except (GreatExpectationsError, TestConnectionError, SQLAlchemyError, duckdb.Error, ValueError, TypeError, LookupError) as error:
        raise QualityCrashError(
            f"it cannot be validated ({type(error).__name__}: {str(error).strip().splitlines()[0]})",
            subject=_subject(dataset),
            next_step="check the file, then the suite",
        ) from error
    return outcomes


def _create_views(database: Path, dataset: Dataset) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"create view {quote_name(dataset.name)} as select * from {read_parquet(dataset.parquet)}")
        if dataset.parameters:
            columns = ", ".join(f"? as {quote_name(name)}" for name in dataset.parameters)
            connection.execute(f"create table parameters as select {columns}", list(dataset.parameters.values()))


def _raise_crashes(dataset: Dataset, outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.crash is not None:
            raise QualityCrashError(
                f"the expectation {outcome.name} could not be evaluated ({outcome.crash}), so nothing is known of its rule: {outcome.rule}",
                subject=_subject(dataset),
                next_step="correct the suite, or give the file the columns that it names",
            )


def _raise_failures(dataset: Dataset, outcomes: Sequence[Outcome]) -> None:
    failed = [outcome for outcome in outcomes if outcome.critical and not outcome.success]
    if failed:
        raise QualityError(
            " ".join(f"the rule {outcome.name} is broken: {outcome.rule} {outcome.shown}." for outcome in failed).removesuffix("."),
            subject=_subject(dataset),
            next_step="correct the rows at their source and take the snapshot again; nothing was published",
        )


def _subject(dataset: Dataset) -> str:
    paths = dataset.parquet if isinstance(dataset.parquet, list) else [dataset.parquet]
    more = f" and {len(paths) - _SHOWN_FILES} more" if len(paths) > _SHOWN_FILES else ""
    return f"dataset {dataset.name} ({', '.join(map(str, paths[:_SHOWN_FILES]))}{more})"
