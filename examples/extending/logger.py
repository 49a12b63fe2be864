"""A logger of one's own: firstspike train gan --log logger.Lines"""


class Lines:
    """One line an epoch in ``lines.txt`` in the run's folder."""

    def __init__(self, folder):
        self.file = (folder / "lines.txt").open("a")

    def log_hyperparams(self, params):
        print(f"a {params['kind']} run", file=self.file)

    def log_metrics(self, metrics, step=None):
        print(f"epoch {step}: {len(metrics)} figures", file=self.file)

    def save(self):
        self.file.flush()

    def finalize(self, status):
        self.file.close()
