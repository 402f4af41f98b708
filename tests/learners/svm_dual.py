"""The dual problem of Crammer and Singer's machine, given to a solver of general problems."""

import numpy as np
from scipy.optimize import minimize


def svm_dual(gram: np.ndarray, targets: np.ndarray, C: float) -> np.ndarray:
    """Equation 6 of Lee et al. 2019 for gram (S, S) and one-hot targets (S, ways): the dual variables (S, ways)."""

    def loss(flat):
        dual = flat.reshape(targets.shape)
        return np.sum(dual * (gram @ dual)) / 2 - np.sum(dual * targets), (gram @ dual - targets).ravel()

    found = minimize(
        loss,
        np.zeros(targets.size),
        jac=True,
        bounds=[(None, C * target) for target in targets.ravel()],
        constraints={"type": "eq", "fun": lambda flat: flat.reshape(targets.shape).sum(1)},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    return found.x.reshape(targets.shape)
