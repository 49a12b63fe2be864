"""Where things are, told by first spikes: a grid of cells, each with a race and four distances.

A cell answers for the thing whose middle lies in it. Its class neurons race, with one that says
'nothing' among them: the first spike decides. Four more neurons tell the distances from the middle
of the cell to the left, top, right and bottom of the box (as in FCOS, Tian et al., arXiv
1904.01355): the earlier, the farther. A distance is within ``-cell / 2`` and ``(1 + cell) / 2`` of
the image's side for any box in the image, and u in 0..1 tells it linearly.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SIDES = 4  # neurons of a box
SHARPNESS = 12.0  # score of a class neuron that fires in its first step, over silence
GONE = 0.5  # a thing of which less is left has moved out of the image
SAME = 0.5  # two boxes that share more (intersection over union) are of one thing


class Found(NamedTuple):
    """What a network sees on one image.

    Args:
        boxes: [n, 4] left, top, width, height, in pixels.
        classes: int64 [n].
        scores: [n], 0..1, the more the earlier its class neuron fires before the others.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor


def targets(
    boxes: Tensor, things: Tensor, image: tuple[int, int], grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """What the neurons of each cell should say; of several things in a cell the last.

    Args:
        boxes: [N, M, 4] left, top, width, height, in pixels.
        things: int64 [N, M], the class of each, negative for none.
        image: height and width in pixels.
        grid: rows and columns of cells.

    Returns:
        The class of each cell, int64 [N, rows, columns], 0 for nothing, else one more than the
        thing's; and u of the sides of its box, [N, 4, rows, columns].
    """
    classes = things.new_zeros(len(boxes), *grid)
    sides = boxes.new_zeros(len(boxes), SIDES, *grid)
    size = boxes.new_tensor([image[1], image[0]])
    cells = boxes.new_tensor([grid[1], grid[0]])
    starts = boxes[..., :2] / size
    ends = starts + boxes[..., 2:] / size
    middles = (starts + ends) / 2
    places = (middles * cells).long().minimum(cells.long() - 1)
    centres = (places + 0.5) / cells
    told = to_values(torch.cat([centres - starts, ends - centres], dim=-1), grid)
    for thing, place, value in zip(things.T, places.unbind(1), told.unbind(1), strict=True):
        here = (thing >= 0).nonzero().squeeze(1)
        column, row = place[here].unbind(1)
        classes[here, row, column] = thing[here] + 1
        sides[here, :, row, column] = value[here]
    return classes, sides


def shifted(
    images: Tensor, boxes: Tensor, things: Tensor, most: int, rng: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Each image, and its boxes, moved by up to ``most`` pixels each way; borders are drawn out.

    Args:
        images: [B, C, H, W].
        boxes: [B, M, 4] left, top, width, height, in pixels.
        things: int64 [B, M], negative for none; what has moved out becomes so.
        most: pixels, at least 0.
        rng: draws how far.
    """
    height, width = images.shape[2:]
    moved = torch.randint(-most, most + 1, (2, len(images)), generator=rng).to(images.device)
    right, down = moved[:, :, None]  # of the window that is seen
    rows = (torch.arange(height, device=images.device) + down).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) + right).clamp(0, width - 1)
    seen = images.gather(2, rows[:, None, :, None].expand_as(images))
    seen = seen.gather(3, columns[:, None, None, :].expand_as(images))
    size = boxes.new_tensor([width, height])
    starts = boxes[..., :2] - moved.T[:, None]
    ends = (starts + boxes[..., 2:]).clamp(min=0).minimum(size)
    starts = starts.clamp(min=0).minimum(size)
    left = torch.cat([starts, ends - starts], dim=-1)
    gone = left[..., 2:].prod(dim=-1) < GONE * boxes[..., 2:].prod(dim=-1)
    return seen, left, things.masked_fill(gone, -1)


def to_values(distances: Tensor, grid: tuple[int, int]) -> Tensor:
    """u in 0..1 of distances [..., 4] from the middles of cells, in sides of the image."""
    half, reach = _range(distances, grid)
    return (distances + half) / reach


def to_distances(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """The opposite of `to_values`."""
    half, reach = _range(values, grid)
    return values * reach - half


def _range(like: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Half a cell, and the range of distances, [4], in sides of the image."""
    cell = 1 / like.new_tensor([grid[1], grid[0], grid[1], grid[0]])
    return cell / 2, 0.5 + cell


def losses(scores: Tensor, values: Tensor, classes: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the classes of cells, and for those with a thing what boxes do not share.

    Args:
        scores: [B, 1 + classes, rows, columns], of 'nothing' first.
        values: u of the sides, [B, 4, rows, columns].
        classes: as of `targets`.
        sides: as of `targets`.

    Returns:
        Both, sums over cells, divided by the number of things.
    """
    here = classes > 0
    things = here.sum().clamp(min=1)
    named = functional.cross_entropy(scores, classes, reduction="sum")
    grid = classes.shape[1], classes.shape[2]
    told, wanted = (to_distances(one.movedim(1, -1)[here], grid) for one in (values, sides))
    apart = (1 - overlap(told, wanted)) + SHARPNESS * (told - wanted).abs().mean(dim=1)
    return named / things, apart.sum() / things


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of boxes [n, 4] told by distances from the same middles."""
    shared = torch.minimum(one, other)
    inter = _extent(shared).clamp(min=0).prod(dim=-1)
    areas = [_extent(box).clamp(min=0).prod(dim=-1) for box in (one, other)]
    return inter / (areas[0] + areas[1] - inter).clamp(min=1e-9)


def _extent(distances: Tensor) -> Tensor:
    """Width and height, [n, 2]."""
    return distances[..., :2] + distances[..., 2:]


def to_boxes(values: Tensor, image: tuple[int, int]) -> Tensor:
    """Boxes [N, cells, 4] in pixels, inside the image, that u of sides [N, 4, rows, columns] tell.

    Left, top, width, height; cells row by row.
    """
    rows, columns = values.shape[2:]
    down, right = (torch.arange(n, device=values.device) for n in (rows, columns))
    middles = torch.stack(
        [
            ((right + 0.5) / columns).expand(rows, columns),
            ((down + 0.5) / rows)[:, None].expand(rows, columns),
        ],
        dim=-1,
    )
    told = to_distances(values.movedim(1, -1), (rows, columns))
    size = values.new_tensor([image[1], image[0]])
    starts = ((middles - told[..., :2]).clamp(0, 1) * size).flatten(1, 2)
    ends = ((middles + told[..., 2:]).clamp(0, 1) * size).flatten(1, 2)
    return torch.cat([starts, (ends - starts).clamp(min=0)], dim=-1)


def suppressed(boxes: Tensor, scores: Tensor) -> Tensor:
    """Whether another box of a higher score has the same place, [n]."""
    starts, ends = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    low = torch.maximum(starts[:, None], starts[None])
    high = torch.minimum(ends[:, None], ends[None])
    inter = (high - low).clamp(min=0).prod(dim=-1)
    areas = boxes[:, 2:].prod(dim=-1)
    union = (areas[:, None] + areas[None] - inter).clamp(min=1e-9)
    order = torch.arange(len(scores), device=scores.device)
    first = (scores[None] > scores[:, None]) | (
        (scores[None] == scores[:, None]) & (order[None] < order[:, None])
    )
    return ((inter / union > SAME) & first).any(dim=1)


def found(classes: Tensor, scores: Tensor, boxes: Tensor) -> list[Found]:
    """What is seen on each image: cells whose class is not 'nothing', the surest of each place.

    Args:
        classes: int64 [N, cells], 0 for nothing.
        scores: [N, cells], of these classes.
        boxes: [N, cells, 4].
    """
    seen = []
    for kind, score, box in zip(classes, scores, boxes, strict=True):
        here = kind > 0
        kind, score, box = kind[here] - 1, score[here], box[here]
        kept = ~suppressed(box, score)
        seen.append(Found(box[kept], kind[kept], score[kept]))
    return seen
