"""One day against the past: measured, compared, and decided whether to ask for a retraining."""
