"""A learned prior: where the posteriors of the training data lie, as a mixture of Gaussians.

A weight of the KL divergence that is small enough to reconstruct leaves the posteriors on a thin,
curved sheet inside of N(0, 1), and most of N(0, 1) decodes to nothing. So after training a mixture
is fitted to samples of the posteriors, and new trajectories are sampled from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

KINDS = ("mixture", "normal")


@dataclass(frozen=True)
class Mixture:
    """Weighted Gaussians.

    Attributes:
        weights: (components,), sum 1.
        means: (components, latent).
        scales: Lower triangular square roots of the covariances, (components, latent, latent).
    """

    weights: Tensor
    means: Tensor
    scales: Tensor

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """(n, latent), drawn from the mixture."""
        chosen = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, device=generator.device)
        return self.means[chosen] + torch.einsum("nij,nj->ni", self.scales[chosen], noise)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint."""
        return {"weights": self.weights, "means": self.means, "scales": self.scales}


def fit_mixture(z: np.ndarray, components: int = 64, seed: int = 0) -> Mixture:
    """The mixture nearest to some samples, by expectation maximisation.

    Arguments:
        z: Samples of the posteriors, (n, latent).
        components: How many Gaussians, at most a tenth of the samples.
        seed: Of the start.

    Returns:
        The mixture.
    """
    import warnings

    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    z = np.repeat(z, 2, 0) if len(z) == 1 else z  # the least that has a covariance, of 0
    # its products are small: more threads gain nothing, and lose much beside other programs
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # 60 rounds are enough, converged or not
        found = GaussianMixture(
            max(1, min(components, len(z) // 10)),
            covariance_type="full",
            reg_covar=1e-4,
            max_iter=60,
            random_state=seed,
        ).fit(z)
    weights = found.weights_ / found.weights_.sum()
    return Mixture(
        torch.tensor(weights, dtype=torch.float32),
        torch.tensor(found.means_, dtype=torch.float32),
        torch.tensor(np.linalg.cholesky(found.covariances_), dtype=torch.float32),
    )
