"""How an index is searched: every distance (the definition), and the faster ways with the same hits."""
