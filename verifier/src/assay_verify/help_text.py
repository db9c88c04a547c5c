"""Help texts of several paragraphs, each filled to the terminal's width."""

from __future__ import annotations

import argparse


class Paragraphs(argparse.HelpFormatter):
    """Fills each paragraph of a description or epilog by itself; argparse's own makes one of all."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(super(Paragraphs, self)._fill_text(part, width, indent) for part in text.split("\n\n"))
