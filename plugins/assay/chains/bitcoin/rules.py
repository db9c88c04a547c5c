"""How the networks of the Bitcoin family differ: transactions, block ids, proof of work, and blocks that tell sister chains apart.

Sources: `chainparams.cpp` and `consensus/params.h` of Bitcoin Core, Litecoin Core, Dogecoin Core, Dash Core and Bitcoin Cash Node.
"""

from __future__ import annotations

from dataclasses import dataclass

from assay.chains.bitcoin.transactions import BITCOIN_FORM, Form

SHA256D, SCRYPT, X11 = "sha256d", "scrypt", "x11"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a network's blocks are made of.

    Attributes:
        form: Of transactions.
        work: The hash that must not be over the target. It is the block's id as well where it is `x11`, which no library at hand
            computes; everywhere else the id is double SHA-256.
        easiest: The `bits` that no header may be easier than.
        merged: Chain id under which other chains' miners work for this one (AuxPoW), 0 where they don't.
        landmark: Height and hash of a block that tells the network from others with the same genesis block.
    """

    form: Form = BITCOIN_FORM
    work: str = SHA256D
    easiest: int = 0x1D00FFFF
    merged: int = 0
    landmark: tuple[int, str] | None = None

    @property
    def has_ids(self) -> bool:
        """Whether a block's id can be computed from its header; otherwise the next header tells it."""
        return self.work != X11


_REGTEST = 0x207FFFFF
_LITECOIN = Form(witness=True, mweb=True)
_DASH = Form(payload=True)
_CASH = Form(tokens=True)

RULES = {
    "bitcoin": Rules(landmark=(478_559, "00000000000000000019f112ec0a9982926f1258cdcc558dd7c3b7e5dc7fa148")),
    "testnet": Rules(),
    "regtest": Rules(easiest=_REGTEST),
    "litecoin": Rules(form=_LITECOIN, work=SCRYPT, easiest=0x1E0FFFFF),
    "litecoin_testnet": Rules(form=_LITECOIN, work=SCRYPT, easiest=0x1E0FFFFF),
    "litecoin_regtest": Rules(form=_LITECOIN, work=SCRYPT, easiest=_REGTEST),
    "dogecoin": Rules(form=Form(), work=SCRYPT, easiest=0x1E0FFFFF, merged=0x62),
    "dogecoin_testnet": Rules(form=Form(), work=SCRYPT, easiest=0x1E0FFFFF, merged=0x62),
    "dogecoin_regtest": Rules(form=Form(), work=SCRYPT, easiest=_REGTEST, merged=0x62),
    "dash": Rules(form=_DASH, work=X11, easiest=0x1E0FFFFF),
    "dash_testnet": Rules(form=_DASH, work=X11, easiest=0x1E0FFFFF),
    "dash_regtest": Rules(form=_DASH, work=X11, easiest=_REGTEST),
    # The first block that Bitcoin Cash has and Bitcoin, Bitcoin SV and eCash have not.
    "bitcoin_cash": Rules(form=_CASH, landmark=(661_648, "0000000000000000029e471c41818d24b8b74c911071c4ef0b4a0509f9b5a8ce")),
    "bitcoin_cash_testnet": Rules(form=_CASH),
    "bitcoin_cash_regtest": Rules(form=_CASH, easiest=_REGTEST),
}
"""By `network` in chains.toml."""
