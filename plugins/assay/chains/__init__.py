"""Reading chains: one file per chain family behind `interface.py`."""
