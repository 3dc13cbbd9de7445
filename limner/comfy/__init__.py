"""The form in which ComfyUI's clients and its editor write graphs, and what it is in ours. No server stands here."""
