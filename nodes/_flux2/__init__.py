"""What is particular to FLUX.2: the only folder where torch, diffusers and transformers are imported."""
