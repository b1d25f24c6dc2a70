"""What the benchmark scripts share.  Nobody runs these files."""
