"""Algorithms side by side: the same envs, the same budget, several seeds, and a report."""
