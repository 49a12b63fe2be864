"""How a run went, as a figure."""

from __future__ import annotations

from firstspike.drawing.evolution import distances


def test_the_snapshot_that_was_kept_is_marked():
    measured = {2: 9.0, 4: 5.0, 6: 7.0}
    stats = [{"epoch": epoch, "generator_loss": 1.0} for epoch in range(1, 7)]
    for line in stats:
        if line["epoch"] in measured:
            line["training_frechet_distance"] = measured[line["epoch"]]
    drawn = distances(stats)
    assert drawn is not None
    curve, mark = drawn.axes[0].lines
    assert [list(curve.get_xdata()), list(curve.get_ydata())] == [[2, 4, 6], [9.0, 5.0, 7.0]]
    assert [*mark.get_xdata(), *mark.get_ydata()] == [4, 5.0]
    assert distances(stats[:1]) is None and distances([]) is None
