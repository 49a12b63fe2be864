"""Numba's cache of kernels: damaged, read-only, or without a place."""

from __future__ import annotations

from types import SimpleNamespace

import numba
import pytest
from processes import run_python

KERNEL = (
    "import sys, os, warnings, pathlib\n"
    "place = pathlib.Path(os.environ['PLACE'])\n"
    "(place / 'kernel.py').write_text(\n"
    "    'from firstspike.ops.cpu.events import njit\\n'\n"
    "    '@njit\\ndef twice(x):\\n    return 2 * x\\n')\n"
    "sys.path.insert(0, str(place))\n"
)
CALL = "from kernel import twice\nassert twice(21) == 42\n"


def test_a_damaged_cache_is_told_and_not_used(tmp_path):
    environment = {"PLACE": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    run_python(KERNEL + CALL, **environment)
    indices = list((tmp_path / "cache").rglob("*.nbi"))
    assert indices
    for content in (b"", b"rubbish"):
        for index in indices:
            index.write_bytes(content)
        run_python(
            f"{KERNEL}"
            "with warnings.catch_warnings(record=True) as told:\n"
            "    warnings.simplefilter('always')\n"
            "    from kernel import twice\n"
            "    assert twice(21) == 42\n"
            "assert 'the Numba cache cannot be used' in str(told[0].message)\n",
            **environment,
        )


def test_without_a_place_for_a_cache(monkeypatch):
    from firstspike.ops.cpu import events

    def njit(cache=False, **options):
        def refuse(function):
            raise RuntimeError("cannot cache function: no locator available")

        return refuse if cache else numba.njit(**options)

    monkeypatch.setattr(events, "numba", SimpleNamespace(njit=njit))
    assert events.njit(lambda x: 2 * x)(21) == 42


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    from firstspike.ops.cpu import events

    class Refusing:
        cache_path = tmp_path

        def save_overload(self, *_):
            raise PermissionError(13, "Permission denied")

    events._warn_of.cache_clear()
    with pytest.warns(RuntimeWarning, match="Permission denied.*set NUMBA_CACHE_DIR"):
        events._Cache(Refusing()).save_overload(1, 2)
    assert events._Cache(Refusing()).cache_path == tmp_path
