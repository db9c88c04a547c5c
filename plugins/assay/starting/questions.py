"""Asks at a terminal for what no flag says; each answer is held to the rules at once, and asked for again until it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from rich.console import Console

from assay.chains.families import family_of
from assay.config_chains import Chain
from assay.errors import ConfigError
from assay.starting import plan
from assay.starting.plan import PlannedChain, PlannedLedger

T = TypeVar("T")

_PLACES = {
    "postgres": "its address, as postgresql://login:password@host:5432/database",
    "mysql": "its address, as mysql://login:password@host:3306/database (mysqls:// for TLS)",
    "files": "the folder of its drops, or s3://bucket/prefix",
}


class Questions:
    """Asks one thing after another.

    Args:
        console: Where questions and complaints are shown.
        read: Returns a line that was typed; the terminal's by default.
    """

    def __init__(self, console: Console, read: Callable[[], str] = input) -> None:
        self._console = console
        self._read = read

    def ask(self, question: str, meaning: Callable[[str], T], default: str = "") -> T:
        """Return what an answer means, as soon as one holds."""
        while True:
            offer = f" [{default}]" if default else ""
            self._console.print(f"{question}{offer}: ", end="", markup=False, soft_wrap=True)
            try:
                return meaning(self._read().strip() or default)
            except ConfigError as error:
                self._console.print(f"  {error.problem}. {error.next_step[0].upper()}{error.next_step[1:]}.", markup=False, soft_wrap=True)

    def chains(self, known: Mapping[str, Chain]) -> tuple[PlannedChain, ...]:
        """Ask for the chains, and each one's servers."""
        texts: list[str] = []
        ids: list[str] = []
        self._console.print(f"Chains that Assay knows: {', '.join(known)}", soft_wrap=True)
        while True:
            end = "; empty when all are named" if texts else ""
            name = self.ask(f"A chain that holds your wallets{end}", lambda text: _chain(text, known, may_end=bool(texts)))
            if not name:
                return plan.chain_sources(texts, known, ids)
            if any(text.startswith(f"{name}=") for text in texts):
                self._console.print(f"  {name} is named already.")
                continue
            self._servers(name, known, texts)
            if known[name].family == "evm":
                offered = str(known[name].chain_id)
                ids.append(self.ask("  Its chain id; another one for a private network", partial(_chain_id, name, known=known), offered))

    def _servers(self, name: str, known: Mapping[str, Chain], texts: list[str]) -> None:
        kinds = family_of(known[name]).FACTS.kinds
        kind = kinds[0]
        if len(kinds) > 1:
            kind = self.ask(f"  Kind of its servers ({', '.join(kinds)})", lambda text: _choice(text, kinds), kinds[0])
        for which in ("first", "second"):
            may_end = which == "second"
            end = "; empty for none, though two make a quorum" if may_end else ""
            spec = self.ask(
                f"  Address of its {which} server{end}", partial(_server, name, kind, known=known, before=texts, may_end=may_end)
            )
            if not spec:
                return
            texts.append(spec)

    def ledger(self) -> PlannedLedger:
        """Ask for the ledger."""
        kind = self.ask(f"Kind of your ledger ({', '.join(plan.LEDGERS)})", lambda text: _choice(text, plan.LEDGERS))

        def meaning(text: str) -> PlannedLedger:
            storage = self.ask("  The storage's address, as https://ACCESS_KEY:SECRET_KEY@host", str) if text.startswith("s3://") else ""
            return plan.ledger(kind, text, storage=storage)

        return self.ask(f"  Its place: {_PLACES[kind]}", meaning, "ledger" if kind == "files" else "")

    def approvers(self) -> tuple[str, ...]:
        """Ask who signs off."""

        def meaning(text: str) -> tuple[str, ...]:
            return () if text.lower() == "nobody" else plan.approvers(text)

        return self.ask("Two people who approve before anything is published, or nobody", meaning, "finance,risk")


def _choice(text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise ConfigError(f"{text[:40]!r} is none of them", subject="", next_step=f"choose one of {', '.join(known)}")
    return text


def _chain(text: str, known: Mapping[str, Chain], *, may_end: bool) -> str:
    if not text and may_end:
        return ""
    plan.known_chain(text, known)
    return text


def _server(name: str, kind: str, text: str, *, known: Mapping[str, Chain], before: list[str], may_end: bool) -> str:
    if not text and may_end:
        return ""
    spec = f"{name}={kind}:{text}"
    plan.chain_sources([*before, spec], known)
    return spec


def _chain_id(name: str, text: str, *, known: Mapping[str, Chain]) -> str:
    plan.chain_ids([f"{name}={text}"], [name], known)
    return f"{name}={text}"
