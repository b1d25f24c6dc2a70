"""What is said about hits: why, what would have to go, and what units are used for."""
