"""Models as they are stored and loaded, under a digest: features, trust, environment, preflight, registry."""
