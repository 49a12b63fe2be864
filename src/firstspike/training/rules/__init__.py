"""Learning rules, one a file: the reference in plain PyTorch, and the fast path if there is one."""
