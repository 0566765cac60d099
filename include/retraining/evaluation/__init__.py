"""A candidate on the holdout: figures, intervals, slices, evidence and pictures, without deciding anything."""
