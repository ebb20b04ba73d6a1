"""Example provider `brisk:<model>`, as small as one can be; its client serves the benchmarks' baseline too."""
