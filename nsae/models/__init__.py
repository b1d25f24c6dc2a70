"""Models to use: the estimator that learns, the frozen encoder that is shipped, and the file of both."""
