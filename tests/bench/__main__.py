"""All benchmarks, one after the other: `make bench`. Seconds are this machine's at this moment; the ratios are what counts."""

from __future__ import annotations

from tests.bench import (
    bench_dags,
    bench_electrum,
    bench_evm,
    bench_evm_proofs,
    bench_ledger,
    bench_many_chains,
    bench_ownership,
    bench_sum_tree,
    bench_utxo_set,
)


def main() -> None:
    """Print one table a benchmark."""
    for title, run in (
        ("EVM reader", bench_evm.main),
        ("EVM proofs", bench_evm_proofs.main),
        (f"Electrum reader, {bench_electrum.SCRIPTS} scripts", bench_electrum.main),
        ("UTXO-set file", bench_utxo_set.main),
        ("23,000 addresses on ten chains", bench_many_chains.main),
        ("Ledger and expectations", bench_ledger.main),
        ("Sum tree of a million users", bench_sum_tree.main),
        ("Ownership of 700,000 addresses", bench_ownership.main),
        ("Parsing the DAG files", bench_dags.main),
    ):
        print(f"\n{title}")
        run()


if __name__ == "__main__":
    main()
