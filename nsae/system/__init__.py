"""What the machine and its operating system ask for: files, threads, BLAS, backends, Ctrl-C, progress."""
