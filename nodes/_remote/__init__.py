"""Asking another machine over HTTP: bounded, checked, and only where the user allows. Imports aiohttp when it asks."""
