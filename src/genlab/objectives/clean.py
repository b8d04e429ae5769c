"""EDM with a network that gives the clean example itself, for data of few colours or plain forms.

EDM's network passes the noise through at low levels, so that it is taken away from x. Where the
examples lie in few dimensions and the noise in all, a narrow network learns the example sooner than
the noise: Li & He 2025 (arXiv 2511.13720, "Back to Basics: Let Denoising Generative Models
Denoise"), section 4. Noise levels, scaling of the input and weighting stay EDM's.
"""

from __future__ import annotations

from torch import Tensor

from genlab.objectives.diffusion import EDM, NetFn, Time, levels


class CleanEDM(EDM):
    """D(x; sigma) = F(c_in x; c_noise): the network F is the denoiser."""

    def __init__(
        self,
        *,
        sigma_data: float = 0.5,
        P_mean: float = 0.0,
        P_std: float = 1.2,
        sigma_min: float = 0.1,
        sigma_max: float = 40.0,
        rho: float = 7.0,
        sigma_floor: float = 0.2,
    ) -> None:
        """As EDM's. Below `sigma_floor` the weight grows no more (Li & He 2025, section 4.3)."""
        super().__init__(
            sigma_data=sigma_data,
            P_mean=P_mean,
            P_std=P_std,
            sigma_min=sigma_min,
            sigma_max=sigma_max,
            rho=rho,
        )
        if sigma_floor <= 0:
            raise ValueError(f"objective.sigma_floor={sigma_floor}: must be above 0")
        self.sigma_floor = sigma_floor

    def weight(self, sigma: Tensor) -> Tensor:
        return super().weight(sigma.clamp(min=self.sigma_floor))

    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        sigma_1d, sigma = levels(t, x)
        c_in = (sigma**2 + self.sigma_data**2).rsqrt()
        return net_fn(c_in * x, sigma_1d.log() / 4)
