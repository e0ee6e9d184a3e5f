"""How live games are seen and touched: one back end for X11, one for everywhere else."""
