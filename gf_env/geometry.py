"""Actions, locations, corners, and grids of patches (paper, section 3.1).

An action is (row, col) in [-1, 1]. A location is the same place in [0, 1]: the patch's top-left
corner as a fraction of the S - P pixels that a patch can travel. A corner is that pixel.
"""

from __future__ import annotations

import functools

import torch

from gf_env.configuration import configuration


def corners(locations: torch.Tensor, image_size: int, patch_size: int) -> torch.Tensor:
    """Return the corners, (n, 2) int64 in [0, S - P], of patches at locations (n, 2) in [0, 1]."""
    return (locations * (image_size - patch_size)).floor().long()


LARGEST_GRID = 1 << 10
"""Of a grid's patches in a row; a forged file may ask for any number."""


@configuration
class Lattice:
    """All patches whose top and left pixels are both on one of some lines.

    Attributes:
        image_size: S.
        patch_size: P.
        lines: ascending pixels in [0, S - P], the same for rows and columns.
    """

    image_size: int
    patch_size: int
    lines: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the lines."""
        travel = self.image_size - self.patch_size
        if not self.lines or list(self.lines) != sorted(self.lines):
            raise ValueError(f"lines must be ascending pixels, one at least, got {self.lines}")
        if self.lines[0] < 0 or self.lines[-1] > travel:
            raise ValueError(f"lines must be pixels in [0, {travel}], got {self.lines}")

    @classmethod
    def grid(cls, grid_size: int, image_size: int, patch_size: int) -> Lattice:
        """Return grid_size x grid_size patches from corner to corner (1: the centre).

        Raises:
            ValueError: grid_size below 1 or above `LARGEST_GRID`.
        """
        if not 1 <= grid_size <= LARGEST_GRID:
            raise ValueError(
                f"grid_size must be 1 or more, got {grid_size}; {LARGEST_GRID} at most"
            )
        travel = image_size - patch_size
        if grid_size == 1:
            return cls(image_size, patch_size, (travel // 2,))
        lines = tuple(line * travel // (grid_size - 1) for line in range(grid_size))
        return cls(image_size, patch_size, lines)

    @classmethod
    def strided(cls, stride: int, image_size: int, patch_size: int) -> Lattice:
        """Return a patch every `stride` pixels, and those at the last pixel.

        Raises:
            ValueError: stride below 1.
        """
        if stride < 1:
            raise ValueError(f"a lattice's stride is a pixel or more, got {stride}")
        travel = image_size - patch_size
        lines = tuple(sorted({*range(0, travel, stride), travel}))
        return cls(image_size, patch_size, lines)

    def __len__(self) -> int:
        """Return the number of patches k."""
        return len(self.lines) ** 2

    def locations(self, device: str | torch.device = "cpu") -> torch.Tensor:
        """Return the patches' locations, row-major, (k, 2) float32 in [0, 1], (row, col)."""
        return _tables(self, torch.device(device))[0]

    def index(self, locations: torch.Tensor) -> torch.Tensor:
        """Return the patches nearest to locations (n, 2) in [0, 1], as (n,) int64 in [0, k).

        Nearest by the pixels between corners, in each axis; of two, the one above or to the left.
        """
        pixels = corners(locations, self.image_size, self.patch_size)
        _, nearest = _tables(self, locations.device)
        lines = nearest[pixels]
        return lines[:, 0] * len(self.lines) + lines[:, 1]

    def snap(self, locations: torch.Tensor) -> torch.Tensor:
        """Return the locations of the nearest patches, (n, 2) in [0, 1]; see `index`."""
        return self.locations(locations.device)[self.index(locations)]


@functools.lru_cache(maxsize=32)
def _tables(lattice: Lattice, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return locations (k, 2) float32, and the line nearest to each pixel (S - P + 1,) int64."""
    travel = lattice.image_size - lattice.patch_size
    # what is kept must do for later callers too, who may want gradients
    with torch.inference_mode(False):
        lines = torch.tensor(lattice.lines)
        shares = lines / max(travel, 1)
        # moved up by a rounding error where the patch would otherwise start one pixel too early
        early = (shares * travel).floor() < lines
        shares = torch.where(early, shares.nextafter(torch.tensor(2.0)), shares)
        distances = (torch.arange(travel + 1)[:, None] - lines).abs()
        locations = torch.cartesian_prod(shares, shares).reshape(-1, 2)
        return locations.to(device), distances.argmin(1).to(device)


def action_to_location(actions: torch.Tensor) -> torch.Tensor:
    """Map actions (n, 2) in [-1, 1] to locations in [0, 1]; values outside are clipped."""
    return (actions.clamp(-1, 1) + 1) / 2


def location_to_action(locations: torch.Tensor) -> torch.Tensor:
    """Map locations (n, 2) in [0, 1] to actions in [-1, 1]."""
    return locations * 2 - 1
