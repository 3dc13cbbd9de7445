"""Durable jobs: a store that outlives every process, and workers that take from it what waits."""
