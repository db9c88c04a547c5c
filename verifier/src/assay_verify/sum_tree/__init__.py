"""Sum trees: one user's proof of inclusion, and whole published trees. Written from docs/formats/sum_tree.md."""
