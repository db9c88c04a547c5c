"""JSON-RPC calls answered from an archive, and error objects of odd forms. The rest is tested with the families that make calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.chains.evidence import EvidenceArchive
from assay.chains.jsonrpc import BATCH, Call, JsonRpc, RefusedError
from assay.config import Source
from assay.errors import AssayError, EvidenceError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import RpcError, ScriptedServer, json_rpc

CALLS: list[Call] = [("get", ["a", 1]), ("get", ["b", 2])]
ERROR = {"code": -32000, "message": "no such account"}


def batch(tmp_path: Path, fill: Callable[[EvidenceArchive], Any]) -> list[Any]:
    archive = EvidenceArchive("x")
    fill(archive)
    url = f"tape:{archive.write(tmp_path / 'a.jsonl.zst')}"

    async def ask() -> list[Any]:
        async with JsonRpc(Source(name="node_a", kind="jsonrpc", connection="x"), url) as rpc:
            return await rpc.batch(CALLS, about=lambda position: f"call {position}")

    return asyncio.run(ask())


def singly(archive: EvidenceArchive, *results: Any) -> None:
    for (method, params), result in zip(CALLS, results, strict=False):
        archive.record(method, params, result)


def test_a_batch_is_played_back_from_one_line_or_from_a_line_for_each_call(tmp_path: Path) -> None:
    assert batch(tmp_path, lambda archive: archive.record(BATCH, CALLS, ["A", "B"])) == ["A", "B"]
    assert batch(tmp_path, lambda archive: singly(archive, "A", "B")) == ["A", "B"]


def test_a_call_of_a_batch_that_is_in_no_line_is_never_left_out(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"no answer to get .*b"):
        batch(tmp_path, lambda archive: singly(archive, "A"))
    with pytest.raises(EvidenceError, match="no answer to get"):
        batch(tmp_path, lambda archive: archive.record(BATCH, CALLS[::-1], ["B", "A"]))


def test_an_archived_refusal_of_one_call_is_a_refusal_again(tmp_path: Path) -> None:
    def fill(archive: EvidenceArchive) -> None:
        singly(archive, "A")
        archive.record_error(*CALLS[1], ERROR)

    with pytest.raises(RefusedError, match=r"call 1.*no such account") as raised:
        batch(tmp_path, fill)
    assert raised.value.answer == ERROR


def live(url: str, *, whole: bool) -> Any:
    async def ask() -> Any:
        async with JsonRpc(Source(name="node_a", kind="jsonrpc", connection="x"), url) as rpc:
            if whole:
                return await rpc.batch(CALLS, about=lambda position: f"call {position}")
            return await rpc.call("get", ["a", 1], about="call 0")

    return asyncio.run(ask())


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-32005, SourceUnavailableError),
        (429, SourceUnavailableError),
        (-32000, RefusedError),
        ([-32005], SourceMismatchError),
        ({"code": 1}, SourceMismatchError),
        (None, SourceMismatchError),
        ("-32005", SourceMismatchError),
        (True, SourceMismatchError),
        (429.5, SourceMismatchError),
    ],
)
def test_an_error_whose_code_is_no_number_is_still_the_servers_error(whole: bool, code: Any, kind: type[AssayError]) -> None:
    def refuse(_: Any) -> Any:
        raise RpcError(code, "not now")

    with ScriptedServer(json_rpc({"get": refuse})) as server, pytest.raises(kind, match="not now") as raised:
        live(server.url, whole=whole)
    assert "source node_a, call 0" in str(raised.value)
