"""Training: the loop, the step it takes (as the equations stand, or compiled), and what changes on the way."""
