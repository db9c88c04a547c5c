"""`assay doctor`: everything that a run needs, looked at before one is started. Nothing is changed anywhere."""
