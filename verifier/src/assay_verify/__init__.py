"""An independent check of what Assay publishes; shares no code with the program that publishes."""

__version__ = "0.1.0"
