"""From an encoder to one Python file that needs NumPy alone."""
