"""From an image to its pooled vector: patches, their codes, pooling, colours, principal components."""
