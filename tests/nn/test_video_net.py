"""The U-Net over space and time: of one frame it is the image U-Net; frames are joined."""

from __future__ import annotations

import pytest
import torch

from genlab.batch import Context
from genlab.nn.unet import UNet
from genlab.nn.video_unet import Time, VideoUNet

SMALL = {"width": 8, "multipliers": (1, 2), "attention": (2,), "head_dim": 8}


def build(cls, shape, *, perturb: float = 0.1, **given):
    torch.manual_seed(0)
    net = cls(shape, **{"num_classes": 4, **SMALL, **given})
    with torch.no_grad():
        for p in net.parameters():
            p.add_(perturb * torch.randn_like(p))
    return net.eval()


def frame_by_frame(net: UNet, x: torch.Tensor, t: torch.Tensor, cond) -> torch.Tensor:
    return torch.stack([net(x[:, :, i], t, cond) for i in range(x.shape[2])], 2)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (3, 5, 9, 13), (3, 4, 16, 16)])
def test_shape_in_is_shape_out_and_the_start_is_zero(shape) -> None:
    torch.manual_seed(0)
    net = VideoUNet(shape, num_classes=4, **SMALL)
    x, t, cond = torch.randn(2, *shape), torch.randn(2), torch.tensor([0, 4])
    assert torch.equal(net(x, t, cond), torch.zeros_like(x))


@pytest.mark.parametrize("patch", [1, 2])
def test_of_one_frame_it_is_the_image_net_exactly(patch: int) -> None:
    image, video = (
        build(c, s, patch=patch) for c, s in ((UNet, [3, 8, 8]), (VideoUNet, [3, 1, 8, 8]))
    )
    found = video.load_state_dict(image.state_dict(), strict=False)
    assert not found.unexpected_keys and all(".time." in k for k in found.missing_keys)
    x, t, cond = torch.randn(3, 3, 1, 8, 8), torch.randn(3), torch.tensor([0, 3, 4])
    assert torch.equal(video(x, t, cond), image(x[:, :, 0], t, cond)[:, :, None])


def test_before_its_layers_of_time_are_trained_each_frame_goes_by_itself() -> None:
    image = build(UNet, [1, 8, 8])
    torch.manual_seed(1)
    video = VideoUNet([1, 3, 8, 8], num_classes=4, **SMALL).eval()
    video.load_state_dict(image.state_dict(), strict=False)
    x, t, cond = torch.randn(2, 1, 3, 8, 8), torch.randn(2), torch.tensor([1, 2])
    assert torch.allclose(video(x, t, cond), frame_by_frame(image, x, t, cond), atol=1e-5)


def test_trained_every_frame_sees_every_other_and_clips_do_not_see_each_other() -> None:
    video = build(VideoUNet, [1, 4, 8, 8])
    x, t, cond = torch.randn(2, 1, 4, 8, 8), torch.randn(2), torch.tensor([1, 2])
    before = video(x, t, cond)
    for i in range(4):
        changed = x.clone()
        changed[0, :, i] += 1
        moved = (video(changed, t, cond) - before).abs().amax((1, 3, 4))
        assert (moved[0] > 1e-4).all() and not moved[1].any()


def test_frames_are_told_apart_by_their_distance() -> None:
    """Frames turned round in time are not simply the answer turned round, nor any shuffle of it."""
    time = build_time()
    x = torch.randn(4, 8, 3, 3)
    turned = time(x.flip(0))
    assert not torch.allclose(turned, time(x).flip(0), atol=1e-3)


def build_time(frames: int = 4) -> Time:
    torch.manual_seed(0)
    time = Time(8, frames=frames, head_dim=8)
    for p in time.parameters():
        p.data.add_(0.3 * torch.randn_like(p))
    return time


def test_the_convolution_over_time_is_one() -> None:
    """Against conv3d, with nothing before the first frame and behind the last."""
    torch.manual_seed(0)
    time = Time(8, frames=5, head_dim=None)
    for p in time.parameters():
        p.data.add_(0.3 * torch.randn_like(p))
    x = torch.randn(2 * 5, 8, 3, 4)
    h = torch.nn.functional.silu(time.norm(x)).unflatten(0, (2, 5)).transpose(1, 2)
    kernel = time.near.weight.view(8, 3, 8, 1, 1).transpose(1, 2)  # [out, in, 3, 1, 1]
    wanted = torch.nn.functional.conv3d(h, kernel, time.near.bias, padding=(1, 0, 0))
    assert torch.allclose(time(x) - x, wanted.transpose(1, 2).flatten(0, 1), atol=1e-5)


def test_a_caption_reaches_every_frame_of_its_own_clip() -> None:
    video = build(VideoUNet, [1, 3, 8, 8], num_classes=None, context=6)
    x, t = torch.randn(2, 1, 3, 8, 8), torch.randn(2)
    states, mask = torch.randn(2, 4, 6), torch.ones(2, 4, dtype=torch.bool)
    before = video(x, t, Context(states, mask))
    other = states.clone()
    other[1] += 1
    moved = (video(x, t, Context(other, mask)) - before).abs().amax((1, 3, 4))
    assert not moved[0].any() and (moved[1] > 1e-4).all()


def test_every_parameter_is_used() -> None:
    video = build(VideoUNet, [1, 3, 8, 8])
    video(
        torch.randn(2, 1, 3, 8, 8), torch.randn(2), torch.tensor([0, 4])
    ).square().sum().backward()
    unused = [n for n, p in video.named_parameters() if p.grad is None or not p.grad.any()]
    assert unused in ([], ["conditioning.classes.weight"])


def test_pictures_are_refused_with_the_net_that_takes_them() -> None:
    with pytest.raises(ValueError, match=r"net video_unet takes clips.*net=unet"):
        VideoUNet([1, 8, 8])
