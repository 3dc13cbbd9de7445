"""Graphs as plain scripts of diffusers: one emitter a node type, each in the file of its name."""
