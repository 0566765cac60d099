"""What happened and why: history, lineage, status, and building a model again."""
