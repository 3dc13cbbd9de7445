"""The engine: graphs, checking, planning, running. Imports no torch."""
