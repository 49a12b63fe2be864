"""Words for people."""

import pytest

from firstspike.shape import in_short
from firstspike.words import counted, with_article


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (60000, "60000 images")]
)
def test_one_is_no_plural(count, words):
    assert counted(count, "image") == words


def test_articles_are_those_of_what_follows():
    assert with_article("ann-gan run") == "an ann-gan run" and with_article("gan") == "a gan"


def test_names_of_classes_stay_in_their_line():
    assert in_short(["a\x1b[31m", "b\nc"]) == "a\\x1b[31m, b\\nc"
    assert in_short(map(str, range(41))).endswith("39 and 1 more")
