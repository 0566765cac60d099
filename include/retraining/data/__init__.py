"""Rows: read from a source, stored by content as chunks, frozen as snapshots, erased on request."""
