"""Words for people."""

import pytest

from firstspike.words import counted


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (60000, "60000 images")]
)
def test_one_is_no_plural(count, words):
    assert counted(count, "image") == words
