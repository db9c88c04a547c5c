"""Merged mining (AuxPoW): the work of a Dogecoin block that was done on a block of another chain.

Such a header is followed by the parent chain's coinbase transaction, its branch to the parent's header, the branch from this block's id
to a root that the coinbase names, and the parent's header, whose scrypt hash is the work. Own code, because no library at
hand reads it. Format: https://en.bitcoin.it/wiki/Merged_mining_specification and `auxpow.cpp` of Dogecoin Core.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from assay.chains.bitcoin.coins import ContradictionError, merkle_root_of
from assay.chains.bitcoin.transactions import HEADER_BYTES, Form, MalformedError, double_sha256, parse_header, read_length, read_transaction

_MERGED_FLAG = 0x100
_CHAIN_ID_SHIFT = 16
_MAGIC = b"\xfa\xbemm"
_LONGEST_BRANCH = 30
_PARENT_FORM = Form()  # whatever the parent chain has, its transaction stands here without witnesses


@dataclass(frozen=True)
class MergedWork:
    """What stands behind a merge-mined header.

    Attributes:
        coinbase_id: Of the parent's coinbase transaction, in wire order.
        script: Input script of that transaction, which names the root.
        coinbase_branch: From the coinbase transaction to the parent's Merkle root.
        chain_branch: From this block's id to the root that the script names.
        chain_position: Of this chain among the leaves under that root.
        parent: The parent's header.
    """

    coinbase_id: bytes
    script: bytes
    coinbase_branch: Sequence[bytes]
    chain_branch: Sequence[bytes]
    chain_position: int
    parent: bytes


def is_merged(header: bytes) -> bool:
    """Tell whether a header says that its work was done on another chain."""
    (version,) = struct.unpack_from("<I", header)
    return bool(version & _MERGED_FLAG)


def read_merged_work(raw: bytes, start: int) -> tuple[MergedWork, int]:
    """Read what begins behind a merge-mined header, and return the position after it.

    Raises:
        MalformedError: Cut off, or of another form.
    """
    try:
        coinbase, position = read_transaction(raw, start, _PARENT_FORM)
        coinbase_id = double_sha256(raw[start:position])
        script_length, script_start = read_length(raw, start + 4 + 1 + 36, 1)
        position += 32  # the parent's hash, which its header tells
        coinbase_branch, coinbase_position, position = _branch(raw, position)
        chain_branch, chain_position, position = _branch(raw, position)
    except (IndexError, struct.error) as error:
        raise MalformedError("merged work that ends too early") from error
    parent = raw[position : position + HEADER_BYTES]
    if len(parent) != HEADER_BYTES or len(coinbase.spends) != 1 or coinbase_position:
        raise MalformedError("merged work without a coinbase transaction or a parent header")
    script = raw[script_start : script_start + script_length]
    return MergedWork(coinbase_id, script, coinbase_branch, chain_branch, chain_position, parent), position + HEADER_BYTES


def check_merged_work(header: bytes, merged: MergedWork, chain_id: int) -> None:
    """Make sure that the parent's work was done for this header; how much it was is the parent's hash.

    Raises:
        ContradictionError: The branches lead elsewhere, or the work was done for another chain.
    """
    (version,) = struct.unpack_from("<I", header)
    if version >> _CHAIN_ID_SHIFT != chain_id:
        raise ContradictionError(f"a merge-mined header of chain {version >> _CHAIN_ID_SHIFT} in the place of {chain_id}")
    if merkle_root_of(merged.coinbase_id, merged.coinbase_branch, 0) != parse_header(merged.parent).merkle_root:
        raise ContradictionError("the branch of merged work does not lead to its parent's root")
    root = merkle_root_of(double_sha256(header), merged.chain_branch, merged.chain_position)[::-1]
    if not root:
        raise ContradictionError("merged work stands at a place that its tree does not have")
    before, found, behind = merged.script.partition(root)
    if not found or len(behind) < 8:  # noqa: PLR2004 (size and nonce)
        raise ContradictionError("merged work names another block than its header")
    if _MAGIC in merged.script and (merged.script.count(_MAGIC) > 1 or not before.endswith(_MAGIC)):
        raise ContradictionError("merged work names more than one block")
    size, nonce = struct.unpack_from("<II", behind)
    height = len(merged.chain_branch)
    if size != 1 << height or merged.chain_position != _slot(nonce, chain_id, height):
        raise ContradictionError("merged work stands in the place of another chain")


def _slot(nonce: int, chain_id: int, height: int) -> int:
    """Return the only leaf at which a chain may stand, so that one piece of work counts once for it."""
    number = nonce
    for addend in (chain_id, 0):
        number = (number * 1103515245 + 12345 + addend) & 0xFFFFFFFF
    return number % (1 << height)


def _branch(raw: bytes, position: int) -> tuple[list[bytes], int, int]:
    count, position = read_length(raw, position, 32)
    if count > _LONGEST_BRANCH:
        raise MalformedError(f"merged work with a branch of {count} hashes")
    siblings = [raw[position + 32 * place : position + 32 * (place + 1)] for place in range(count)]
    (leaf,) = struct.unpack_from("<I", raw, position + 32 * count)
    return siblings, leaf, position + 32 * count + 4
