"""The equations (1) to (22) and (34) in NumPy alone.  README.md beside this file numbers and derives them.

Read in this order: ``layers``, ``activations``, ``losses``, ``sparsity``, ``optimizers``, then
``autoencoder``, which has forward and backward on one page, and ``gradcheck``.
"""
