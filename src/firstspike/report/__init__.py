"""The whole paper on one page: what to run, what came of it, and how it compares."""
