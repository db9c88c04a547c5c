"""Proofs that the wallets are the entity's: what is asked of their keepers, what comes back, and what it shows.

The signature schemes themselves stand in the verifier's package (`assay_verify.ownership`), so that what is taken here is what a stranger's verifier
takes (ADR 0021).
"""
