"""Exact computation over Parquet files in DuckDB: sessions, the SQL runner, table contracts and canonical digests."""
