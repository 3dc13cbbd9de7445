"""The protocol of ComfyUI's clients and editor, over the same jobs, events and files as our own API."""
