"""The way to a first publication: `assay init` writes a deployment folder, `reference` the page of all configuration keys."""
