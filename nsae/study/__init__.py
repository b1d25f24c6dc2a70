"""For those who study: a training step printed, the equations beside the code, exercises."""
