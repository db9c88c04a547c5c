"""Committing to what every user is owed: the sum tree, its private index, and proofs of inclusion."""
