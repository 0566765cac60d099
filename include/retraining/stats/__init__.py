"""Metrics and how sure they are: resampling, blocks of time, slices, calibration. Knows arrays, no stages."""
