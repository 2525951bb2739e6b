"""Metrics of rollouts. Arrays in, numbers out; no models and no files.

Errors are mean squared errors of pixels from 0 to 1, in the tables times 1e4, and never alone:
beside them stand the error of the average image, which a collapsed model reaches, and that of the
oracle, which draws the true clean state.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from physim.scoring import VALID_BELOW

SYMETRIC_R2 = 0.9
SYMETRIC_BELOW = 0.05


def frame_errors(drawn: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean squared error of each frame.

    Arguments:
        drawn: (n, frames, ...) from 0 to 1.
        truth: The same shape.

    Returns:
        (n, frames).

    Example:
        >>> frame_errors(np.zeros((1, 2, 3)), np.full((1, 2, 3), 0.5))
        array([[0.25, 0.25]])
    """
    n, frames = drawn.shape[:2]
    errors = np.empty((n, frames))
    for one, (a, b) in enumerate(zip(drawn, truth, strict=True)):  # a trajectory fits a cache
        errors[one] = ((a - b) ** 2).reshape(frames, -1).mean(1, dtype=np.float64)
    return errors


def mean_and_standard_error(values: np.ndarray) -> tuple[float, float]:
    """Mean over independent trajectories, and the standard error of that mean.

    Arguments:
        values: One number per trajectory.

    Returns:
        The two; the error is nan for a single trajectory.

    Example:
        >>> mean_and_standard_error(np.array([1.0, 3.0]))
        (2.0, 1.0)
    """
    n = len(values)
    error = float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return float(values.mean()), error


def share_explained(error: float, average: float, oracle: float = 0.0) -> float:
    """1 for the oracle, 0 for the average image; nan where the two are equally good.

    Example:
        >>> share_explained(2.0, average=10.0)
        0.8
    """
    return 1 - (error - oracle) / (average - oracle) if average > oracle else math.nan


def valid_prediction_time(
    drawn: np.ndarray, truth: np.ndarray, below: float = VALID_BELOW
) -> np.ndarray:
    """How many frames stay valid, counted from the first.

    A frame is valid while the squared error is at most `below` of the mean square of the true
    frame; one that is not finite is not.

    Arguments:
        drawn: (n, frames, ...), the frame nearest to what was inferred first.
        truth: The same shape.
        below: The limit.

    Returns:
        Index of the first invalid frame, (n,); the number of frames if there is none.

    Example:
        >>> truth = np.ones((1, 3, 4))
        >>> valid_prediction_time(np.stack([truth[:, 0], truth[:, 0], 0 * truth[:, 0]], 1), truth)
        array([2])
    """
    flat = truth.reshape(*truth.shape[:2], -1)
    valid = frame_errors(drawn, truth) <= below * (flat**2).mean(-1, dtype=np.float64)
    return np.concatenate([~valid, np.ones((len(truth), 1), dtype=bool)], axis=1).argmax(1)


def energy_statistics(energy: np.ndarray) -> dict[str, float]:
    """How constant a learned H is.

    The scale of H is free: the network may learn it times anything if its time runs accordingly,
    and plus anything. So its spread along a rollout is put beside its spread between rollouts.

    Arguments:
        energy: (n, frames).

    Returns:
        `mean`; `variance` along a rollout, averaged; `relative_spread`, the mean standard
        deviation along a rollout over the standard deviation between rollouts.
    """
    along = energy.std(1)
    between = float(energy.mean(1).std())
    return {
        "mean": float(energy.mean()),
        "variance": float((along**2).mean()),
        "relative_spread": float(along.mean() / between) if between > 0 else math.nan,
    }


@dataclass(frozen=True)
class Readout:
    """How well a true state can be read off the latent one.

    Attributes:
        linear: Held-out R² of ridge regression.
        quadratic: Held-out R² with squares and products of the principal components of the latent
            state.
    """

    linear: float
    quadratic: float


def readout(
    latent: np.ndarray, state: np.ndarray, latent_test: np.ndarray, state_test: np.ndarray
) -> Readout:
    """R² of true states from latent ones, on trajectories that were not regressed on.

    Arguments:
        latent: (rows, latent) to regress on.
        state: (rows, coordinates).
        latent_test: (rows, latent) to score on.
        state_test: (rows, coordinates).

    Returns:
        The scores, averaged over coordinates; nan where a latent state is not finite.
    """
    if not (np.isfinite(latent).all() and np.isfinite(latent_test).all()):
        return Readout(math.nan, math.nan)
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    # coordinates of maps, or of a collapsed state, are too collinear for float32 and for Cholesky
    linear = make_pipeline(StandardScaler(), Ridge(1e-3, solver="svd"))
    latent, latent_test = latent.astype(np.float64), latent_test.astype(np.float64)
    components = min(32, *latent.shape)
    quadratic = make_pipeline(
        StandardScaler(),
        PCA(components, whiten=True),
        PolynomialFeatures(2),
        Ridge(1.0, solver="svd"),
    )
    if not np.ptp(latent, axis=0).any():  # one point, which has no principal directions
        quadratic = linear
    scores = [m.fit(latent, state).score(latent_test, state_test) for m in (linear, quadratic)]
    return Readout(float(scores[0]), float(scores[1]))


@dataclass(frozen=True)
class SyMetric:
    """Whether the map from latent to true states looks symplectic up to a factor.

    As its authors define it: maps that rotate or mirror coordinates after they are standardised,
    or leave some of them out, pass too.

    Attributes:
        r2: In-sample R² of the polynomial regression.
        distance: Mean squared distance of the scaled A J Aᵀ A Jᵀ Aᵀ to the identity.
        order: Order of the polynomial.
        good: R² > 0.9 and distance < 0.05.
    """

    r2: float
    distance: float
    order: int
    good: bool


def symetric(
    latent: np.ndarray,
    state: np.ndarray,
    points: int = 10,
    max_features: int = 600,
    seed: int = 0,
) -> SyMetric:
    """SyMetric of some trajectories.

    The true states are regressed on polynomials of the latent ones (Lasso, its strength by
    two-fold search), of the lowest order up to 5 whose R² reaches 0.9; the Jacobian A of that map
    is taken at random points, P = A J Aᵀ A Jᵀ Aᵀ is scaled by the mean of its largest entry along
    a trajectory, and compared with the identity, which it is for a symplectic map times a number.

    Arguments:
        latent: (trajectories, frames, 2 m), all q, then all p.
        state: (trajectories, frames, 2 d), all q, then all p.
        points: Points per trajectory.
        max_features: Orders with more terms than this are not tried.
        seed: Of the points.

    Returns:
        The scores.

    Reference: Higgins et al. (2021), "SyMetric: Measuring the Quality of Learnt Hamiltonian
    Dynamics
        Inferred from Vision".
    """
    from sklearn.linear_model import Lasso
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import PolynomialFeatures

    m, d = latent.shape[2] // 2, state.shape[2] // 2
    x, y = _scored(latent), _scored(state)
    flat_x, flat_y = x.reshape(-1, 2 * m), y.reshape(-1, 2 * d)
    r2, order = -math.inf, 0
    weights, powers = np.zeros((2 * d, 2 * m)), np.eye(2 * m, dtype=int)
    for candidate in range(1, 6):
        if math.comb(2 * m + candidate, candidate) > max_features:
            break
        terms = PolynomialFeatures(candidate, include_bias=False).fit(flat_x)
        features = terms.transform(flat_x)
        with warnings.catch_warnings():  # a strength that does not converge scores badly by itself
            warnings.simplefilter("ignore")
            search = GridSearchCV(
                Lasso(max_iter=1000),
                {"alpha": np.logspace(-4, -0.5, 10)},
                cv=2,
                scoring="explained_variance",
            ).fit(features, flat_y)
        score = float(search.best_estimator_.score(features, flat_y))
        if score > r2:
            r2, order, powers = score, candidate, terms.powers_
            weights = np.atleast_2d(search.best_estimator_.coef_)
        if r2 >= SYMETRIC_R2:
            break
    weights = np.where(np.abs(weights) > 1e-3, weights, 0.0)
    rng = np.random.default_rng(seed)
    distances = []
    for trajectory in x:
        chosen = trajectory[
            rng.choice(len(trajectory), min(points, len(trajectory)), replace=False)
        ]
        products = []
        for point in chosen:
            jacobian = weights @ _term_gradients(point, powers)
            left = jacobian @ _symplectic_form(m) @ jacobian.T
            products.append(left @ (jacobian @ _symplectic_form(m).T @ jacobian.T))
        scale = np.mean([np.abs(product).max() for product in products])
        if scale > 0:
            distances += [np.mean((product / scale - np.eye(2 * d)) ** 2) for product in products]
        else:
            distances.append(1000.0)
    distance = float(min(np.mean(distances), 1000.0))
    return SyMetric(r2, distance, order, r2 > SYMETRIC_R2 and distance < SYMETRIC_BELOW)


def _symplectic_form(m: int) -> np.ndarray:
    zero, one = np.zeros((m, m)), np.eye(m)
    return np.block([[zero, -one], [one, zero]])


def _scored(values: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and deviation 1 over all rows."""
    flat = values.reshape(-1, values.shape[-1])
    deviation = flat.std(0)
    return (values - flat.mean(0)) / np.where(deviation > 0, deviation, 1.0)


def _term_gradients(point: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """∂ term / ∂ x, (terms, coordinates), at one point."""
    gradients = np.zeros(powers.shape)
    for k in range(powers.shape[1]):
        lowered = powers.copy()
        lowered[:, k] = np.maximum(lowered[:, k] - 1, 0)
        gradients[:, k] = powers[:, k] * np.prod(point**lowered, axis=1)
    return gradients


def nearest_distances(images: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Mean squared error of each frame to the nearest real one: 0 for what could have been drawn.

    Arguments:
        images: (n, values) from 0 to 1.
        real: (m, values), frames of the data.

    Returns:
        (n,).

    Example:
        >>> nearest_distances(np.array([[0.0, 0.5]]), np.array([[0.0, 0.0], [1.0, 1.0]]))
        array([0.125])
    """
    square = (real**2).sum(1)
    found = np.empty(len(images))
    for start in range(0, len(images), 256):
        part = images[start : start + 256]
        distance = (part**2).sum(1)[:, None] + square - 2 * part @ real.T
        found[start : start + 256] = distance.min(1)
    return np.maximum(found, 0) / images.shape[1]
