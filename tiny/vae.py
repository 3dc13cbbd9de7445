"""The autoencoder: how it is built, how it starts, what it learns from."""

import torch
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from torch import nn
from torch.nn import functional

LATENT_CHANNELS = 8
COLOR_GAIN = 3.0  # size of the constant channels that steady the group norms


def build_vae() -> AutoencoderKLFlux2:
    """Build the FLUX.2 autoencoder at factor 8, narrow, started as a passer-on of colours."""
    vae: AutoencoderKLFlux2 = AutoencoderKLFlux2(
        block_out_channels=(8, 16, 32, 48),
        decoder_block_out_channels=(12, 16, 32, 48),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=1,
        sample_size=512,  # nothing this model draws is tiled
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    )
    pass_colors_through(vae)
    return vae


@torch.no_grad()
def pass_colors_through(vae: AutoencoderKLFlux2) -> None:
    """Start with RGB travelling along the first channels of every skip path.

    The default start needs thousands of steps to find colours behind the group norms. Here residual
    branches begin small, and constant channels make the norms act as a fixed scale.
    """
    for name, layer in vae.named_modules():
        if name.endswith("resnets") or not isinstance(layer, nn.Conv2d):
            continue
        if name.endswith(".conv2"):  # the end of a residual branch
            layer.weight.mul_(0.2)
            _set_bias(layer)
        elif name.endswith((".conv_shortcut", "samplers.0.conv")):
            _identity(layer, pool="downsamplers" in name)
    gains = {"encoder.conv_in": (1.0, 0.15), "decoder.conv_in": (1.0, 0.5)}
    gains |= {"encoder.conv_out": (2.0, 1.0), "decoder.conv_out": (2.5, 0.15)}
    for name, (gain, noise) in gains.items():
        layer = vae.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        _identity(layer, gain, noise)
    _set_bias(vae.encoder.conv_in, slice(3, 8, 2), COLOR_GAIN)
    _set_bias(vae.encoder.conv_in, slice(4, 8, 2), -COLOR_GAIN)
    _set_bias(vae.decoder.conv_in, slice(5, 8, 2), COLOR_GAIN)
    _set_bias(vae.decoder.conv_in, slice(4, 8, 2), -COLOR_GAIN)
    for norm in (vae.encoder.conv_norm_out, vae.decoder.conv_norm_out):
        assert isinstance(norm, nn.GroupNorm)
        norm.bias.fill_(2.0)
    _set_bias(vae.encoder.conv_out, slice(3), -4.0)
    _set_bias(vae.decoder.conv_out, slice(3), -5.0)


def _set_bias(conv: nn.Conv2d, where: slice | None = None, value: float = 0.0) -> None:
    """Set some (by default all) biases of a convolution."""
    assert conv.bias is not None
    conv.bias[where or slice(None)] = value


def _identity(conv: nn.Conv2d, gain: float = 1.0, noise: float = 0.15, pool: bool = False) -> None:
    """Make channel c of the output channel c of the input (pooled over 2 x 2), plus small noise."""
    conv.weight.mul_(noise)
    middle = conv.weight.shape[-1] // 2
    for channel in range(min(conv.weight.shape[:2])):
        if pool:
            conv.weight[channel, channel, :2, :2] += 0.25 * gain
        else:
            conv.weight[channel, channel, middle, middle] += gain
    _set_bias(conv)


def pixel_weights(image: torch.Tensor, weight: float = 4.0, margin: int = 2) -> torch.Tensor:
    """Weight (B, 1, H, W) of every pixel: those of objects, and ``margin`` pixels around them, count more; mean 1."""
    background = image.flatten(2).median(-1).values[..., None, None]
    is_object = ((image - background).abs().amax(1, keepdim=True) > 0.05).float()
    near = functional.max_pool2d(is_object, 2 * margin + 1, stride=1, padding=margin)
    weights = 1 + (weight - 1) * near
    return weights / weights.mean()


def reconstruction_loss(image: torch.Tensor, other: torch.Tensor, weights: torch.Tensor | float = 1.0) -> torch.Tensor:
    """L1, MSE for outliers, and L1 of the gradients for crisp edges; ``weights`` of pixels, (B, 1, H, W)."""
    error = other - image
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return (weights * (error.abs() + 2 * error**2)).mean() + edges


def autoencoder_loss(vae: AutoencoderKLFlux2, image: torch.Tensor, noise: float) -> torch.Tensor:
    """Reconstruct from latents blurred by ``noise`` standard deviations of each channel.

    Noise relative to the channel gives every channel the same capacity, so that none stays dead, and
    makes the decoder forgive the transformer's small errors.
    """
    mean: torch.Tensor = vae.encode(image).latent_dist.mean
    spread = mean.detach().std((0, 2, 3), keepdim=True)
    other: torch.Tensor = vae.decode(mean + noise * spread * torch.randn_like(mean)).sample
    return reconstruction_loss(image, other) + 5e-4 * mean.square().mean()


def patchify(latents: torch.Tensor) -> torch.Tensor:
    """Fold 2 x 2 cells into channels: (B, C, H, W) -> (B, 4C, H/2, W/2), as the pipeline does."""
    b, c, h, w = latents.shape
    return latents.view(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, c * 4, h // 2, w // 2)


@torch.no_grad()
def encode_tokens(vae: AutoencoderKLFlux2, image: torch.Tensor) -> torch.Tensor:
    """Give the normalised tokens of pictures, (B, H/16 * W/16, 4 * LATENT_CHANNELS), as the pipeline does."""
    mean, variance = _statistics(vae)
    folded = patchify(vae.encode(image).latent_dist.mode())
    std = torch.sqrt(variance.view(1, -1, 1, 1) + vae.bn.eps)
    return ((folded - mean.view(1, -1, 1, 1)) / std).flatten(2).transpose(1, 2)


@torch.no_grad()
def fit_statistics(vae: AutoencoderKLFlux2, images: torch.Tensor) -> None:
    """Set the running statistics by which latents are normalised."""
    mean, variance = _statistics(vae)
    folded = torch.cat([patchify(vae.encode(part).latent_dist.mode()) for part in torch.split(images, 32)])
    mean.copy_(folded.mean((0, 2, 3)))
    variance.copy_(folded.var((0, 2, 3)))


def _statistics(vae: AutoencoderKLFlux2) -> tuple[torch.Tensor, torch.Tensor]:
    mean, variance = vae.bn.running_mean, vae.bn.running_var
    assert mean is not None
    assert variance is not None
    return mean, variance
