"""A run as bytes, to be trained elsewhere: packed while a training writes, unpacked as a whole.

``options.json`` stays where it is: each place has one of its own, as data may lie elsewhere there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from firstspike.runs import checkpoint, files

CHECKPOINT, STATS, SUMMARY = "checkpoint", "stats.jsonl", "summary.json"
Files = dict[str, bytes]  # by their path in the run, with / between its parts


def pack(run: Path, without: Collection[str] = ()) -> Files:
    """The files of a run that belong together; those ``without`` are left out.

    Raises:
        ValueError: a file is damaged.
    """
    saved = checkpoint.packed(run / CHECKPOINT)  # first: statistics may be ahead of it, not behind
    found = {f"{CHECKPOINT}/{name}": content for name, content in saved.items()}
    places = [run / STATS, *sorted(run.glob("samples/epoch-*.png")), run / SUMMARY]
    for file in places:
        name = file.relative_to(run).as_posix()
        if name not in without and file.is_file():
            found[name] = files.read(file)
    if STATS in found:  # a line that is being written is left out
        found[STATS] = found[STATS][: found[STATS].rfind(b"\n") + 1]
    return found


def unpack(run: Path, parcel: Mapping[str, bytes]) -> None:
    """Write the files of a run; a kill at any moment leaves one that can go on.

    Raises:
        ValueError: they cannot be written.
    """
    with files.explained(run, "make room there"):
        for name, content in parcel.items():
            if not name.startswith(CHECKPOINT) and name != SUMMARY:
                (run / name).parent.mkdir(parents=True, exist_ok=True)
                files.replace(run / name, content)
        saved = {
            name.partition("/")[2]: content
            for name, content in parcel.items()
            if name.startswith(CHECKPOINT)
        }
        if saved:
            checkpoint.unpack(run / CHECKPOINT, saved)
        if SUMMARY in parcel:
            files.replace(run / SUMMARY, parcel[SUMMARY])
