"""What `assay registry check` has looked at, a line each, once nothing was found wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from assay.config import Chain, Settings
from assay.lake import format_as_of
from assay.registry import Wallet

Line = tuple[str, str]
"""What was looked at, and what it says."""


def lines(settings: Settings, wallets: Sequence[Wallet], *, now: datetime | None = None) -> Iterator[Line]:
    """Yield what a configuration says that `registry.check_configuration` and `registry.check_registry` let pass.

    Args:
        settings: The configuration.
        wallets: What `check_registry` returned.
        now: For the next time of the schedule; the current time by default.
    """
    from croniter import croniter

    from assay.descriptor_registry import read_descriptors
    from assay.prices import last_times

    following: datetime = croniter(settings.schedule, now or datetime.now(UTC)).get_next(datetime)
    yield "configuration", f"{settings.path}, series {settings.series}, entity {settings.entity}"
    yield "schedule", f"{settings.schedule} (UTC); the next time is {format_as_of(following)}"
    listed = Counter(wallet.chain for wallet in wallets)
    described = Counter(item.chain for item in read_descriptors(settings))
    for chain in settings.chains.values():
        yield f"chain {chain.name}", _chain(chain, listed[chain.name], described[chain.name])
    yield "custody", _counted(wallet.custody for wallet in wallets)
    yield "encumbrance", _counted(wallet.encumbrance for wallet in wallets)
    yield "assets", f"{', '.join(sorted(settings.assets))}: each is held on a chain"
    for source in settings.prices.sources:
        last = last_times(settings, source)
        if missing := sorted(set(settings.assets) - set(last)):
            words = f"well-formed, and without a price of {', '.join(missing)} yet"
        else:
            words = f"every asset has prices up to {format_as_of(min(last.values()))}"
        yield f"prices {source.name}", f"{words} ({source.path})"
    ledger = settings.ledger
    place = f" in {ledger.folder}" if ledger.kind == "files" else ""
    yield "ledger", f"{ledger.kind}{place}, account types {', '.join(ledger.account_types)}"
    if settings.sign_off.required:
        yield "sign-off", " and ".join(" or ".join(group) for group in settings.sign_off.approvers)
    else:
        yield "sign-off", "none, which is published"
    yield "not checked", "nodes, ledger, Airflow and its Connections; `assay doctor` asks them"


def _chain(chain: Chain, wallets: int, descriptors: int) -> str:
    held = [_number(wallets, "wallet"), *([_number(descriptors, "descriptor")] if descriptors else [])]
    sources = ", ".join(f"{source.name} ({source.kind})" for source in chain.sources)
    return f"{' and '.join(held)}; {', '.join([chain.asset, *sorted(chain.tokens)])}; read through {sources}"


def _counted(values: Iterator[str]) -> str:
    return ", ".join(f"{count} {value}" for value, count in sorted(Counter(values).items())) or "no wallet is listed"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
