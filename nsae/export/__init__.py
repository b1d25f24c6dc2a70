"""From a model to one file: Python that needs NumPy alone, or a web page in which one draws."""
