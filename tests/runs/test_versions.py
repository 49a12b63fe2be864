"""Versions that must be the same on all machines."""

from __future__ import annotations

import pytest

from firstspike.runs import versions


def test_other_code_has_another_version(tmp_path, monkeypatch):
    own = versions.versions()
    assert own == versions.versions()
    versions.check(own, own, "node x")
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(versions, "__file__", str(tmp_path / "runs" / "versions.py"))
    with pytest.raises(ValueError, match=r"node x has firstspike .*; install the same"):
        versions.check(own, versions.versions(), "node x")
