"""The embedded model: its data, its training, its weights."""
