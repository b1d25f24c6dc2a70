"""The exercises, in order: a file for each, with its functions, its inputs and its mistakes."""

from __future__ import annotations

from nsae.study.exercises.tasks import (
    adam,
    code_gradient,
    cosine_search,
    decoder_gradients,
    encoder_gradients,
    forward,
    k_sparse,
    kl,
    losses,
    output_gradient,
    sigmoid,
    training_loop,
    unit_norm,
)

EXERCISES = (
    forward.EXERCISE,
    sigmoid.EXERCISE,
    losses.EXERCISE,
    kl.EXERCISE,
    output_gradient.EXERCISE,
    decoder_gradients.EXERCISE,
    code_gradient.EXERCISE,
    encoder_gradients.EXERCISE,
    k_sparse.EXERCISE,
    adam.EXERCISE,
    unit_norm.EXERCISE,
    training_loop.EXERCISE,
    cosine_search.EXERCISE,
)
