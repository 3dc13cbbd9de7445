"""FLUX.2 itself: the only place where torch, diffusers and transformers are imported."""
