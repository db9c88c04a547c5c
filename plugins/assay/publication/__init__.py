"""Putting a publication together, in place and into the log."""
