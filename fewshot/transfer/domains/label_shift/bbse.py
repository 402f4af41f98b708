"""Black-box shift estimation: class weights from the mistakes of any classifier (Lipton et al. 2018, eq. 4 to 6)."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.errors import InvalidInput


def bbse_weights(labels: Tensor, predictions: Tensor, target_predictions: Tensor, classes: int) -> Tensor:
    """q(y) / p(y) of each class, (classes,) float64, zero or more.

    labels (N,) and predictions (N,) of source items that the classifier was not trained on, target_predictions (M,),
    all in [0, classes). The weights w solve C w = m with C_ij = p(predicts i, is j) and m_i = q(predicts i); negative
    ones become zero. Raises `InvalidInput` where C cannot be inverted: a class that is never predicted, or two that the
    classifier cannot tell apart.
    """
    joint = torch.bincount(predictions * classes + labels, minlength=classes**2).double().view(classes, classes)
    joint /= len(labels)
    if float(torch.linalg.cond(joint)) > 1e8:
        never = [index for index in range(classes) if not joint[index].any()]
        why = f"it never predicts {never}" if never else "some classes look the same to it"
        raise InvalidInput(
            f"the classifier's confusion matrix cannot be inverted ({why}); train a better one, or use em"
        )
    found = torch.bincount(target_predictions, minlength=classes).double() / len(target_predictions)
    return torch.linalg.solve(joint, found).clamp(min=0)
