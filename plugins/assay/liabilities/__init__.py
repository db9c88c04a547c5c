"""Liabilities: what the entity owes its users, read from a ledger in one snapshot and reconciled with the ledger's own totals."""
