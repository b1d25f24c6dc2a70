"""Deep learning on codes: softmax (43), a stack of encoders and its gradient (44), as estimators.

Read ``softmax``, then ``stack``, which has forward and backward on one page, then ``classifiers``.
"""

from nsae.deep.classifiers import SoftmaxClassifier, StackedAutoencoder
from nsae.deep.softmax import softmax, softmax_cross_entropy, softmax_gradient
from nsae.deep.stack import Stack

__all__ = [
    "SoftmaxClassifier",
    "Stack",
    "StackedAutoencoder",
    "softmax",
    "softmax_cross_entropy",
    "softmax_gradient",
]
