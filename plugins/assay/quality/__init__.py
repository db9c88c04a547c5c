"""Great Expectations over Parquet files, pushed down into DuckDB. Suites stand in `expectations/`, one a dataset."""
