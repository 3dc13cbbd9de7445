"""Limner: a typed node-graph engine for FLUX.2."""
