"""Subsets: which superpixels of an image are chosen, and what each choice is worth to a goal.

A subset is *chosen* superpixels: those kept where the goal is to keep a decision, those removed
where it is to change it. No evaluation is repeated and none goes beyond the limit given. The
deterministic parts of a search are here: ranking of the superpixels, shortest prefix of the
ranking, greedy growth, and shrinking until no single superpixel can be spared. Each is a generator
that yields an `Ask` and is sent probabilities.
"""

from collections.abc import Generator
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from governance.methods.masking import Archive, Ask, Bits

__all__ = [
    "KEPT_SHARE",
    "MODES",
    "Goal",
    "Mode",
    "Rows",
    "Search",
    "Steps",
    "grow",
    "partition",
    "prefix",
    "rank",
    "shrink",
]

Mode = Literal["sufficient", "necessary", "contrastive", "pareto", "confidence"]
Rows = NDArray[np.int64]
Result = TypeVar("Result")
Steps = Generator[Ask, NDArray[np.float32], Result]

MODES: tuple[Mode, ...] = ("sufficient", "necessary", "contrastive", "pareto", "confidence")
KEPT_SHARE = 0.9  # of the full image's probability: what "sufficient" means
TINY = 1e-7  # probabilities are taken no nearer to 0 and 1


class Goal(NamedTuple):
    """What a subset must do to the model's answer.

    Attributes:
        mode: See `explanation.evolve`.
        target: The class explained.
        against: The class it is contrasted with, for `contrastive`.
        floor: Probability of the target that a sufficient subset must reach.
    """

    mode: Mode
    target: int
    against: int
    floor: float

    @property
    def removes(self) -> bool:
        """Whether chosen superpixels are removed, not kept."""
        return self.mode in {"necessary", "contrastive"}

    def value(self, p: NDArray[np.float32]) -> NDArray[np.float64]:
        """How near probabilities (B, K) come to the goal, as log odds, (B,): more is nearer."""
        logs = np.log(np.clip(p.astype(np.float64), TINY, 1))
        own = logs[:, self.target]
        if self.mode == "contrastive":
            return np.asarray(logs[:, self.against] - own)
        if self.mode == "necessary":
            return np.asarray(np.delete(logs, self.target, axis=1).max(1) - own)
        return np.asarray(own - np.log(np.clip(1 - p[:, self.target].astype(np.float64), TINY, 1)))

    def holds(self, p: NDArray[np.float32]) -> Bits:
        """Whether the label is what the goal asks for, (B,), whatever the probability."""
        if self.mode == "contrastive":
            return np.asarray(p[:, self.against] > p[:, self.target])
        return np.asarray((p.argmax(1) == self.target) != self.removes)

    def met(self, p: NDArray[np.float32]) -> Bits:
        """Whether probabilities (B, K) reach the goal, (B,)."""
        return self.holds(p) & (self.removes | (p[:, self.target].astype(np.float64) >= self.floor))


class Search:
    """What has been evaluated for one image and what each subset is worth.

    Attributes:
        goal: Goal of the search.
        pixels: (n,) pixels of each superpixel.
        baseline: Name of the fill image for removed pixels.
        archive: Every subset evaluated under that baseline; its rows number the arrays below.
        value: (rows,) nearness to the goal, see `Goal.value`.
        met: (rows,) whether the goal is reached.
        size: (rows,) pixels chosen.
        spent: Forward passes so far, also those outside the archive.
    """

    def __init__(
        self, goal: Goal, pixels: NDArray[np.int64], ask: Ask, told: NDArray[np.float32]
    ) -> None:
        self.goal = goal
        self.pixels = pixels
        self.baseline = ask.baseline
        self.archive = Archive(ask.keep[:0], told[:0])
        self.value = np.empty(0)
        self.met = np.empty(0, dtype=np.bool_)
        self.size = np.empty(0, dtype=np.int64)
        self.spent = 0
        self._add(ask.keep, told)

    def _add(self, keep: Bits, told: NDArray[np.float32]) -> None:
        self.archive.add(keep, told)
        self.spent += len(keep)
        self.value = np.concatenate([self.value, self.goal.value(told)])
        self.met = np.concatenate([self.met, self.goal.met(told)])
        self.size = np.concatenate([self.size, (keep ^ self.goal.removes) @ self.pixels])

    def chosen(self, rows: Rows | int) -> Bits:
        """Subsets of the archive, (B, n) or (n,)."""
        return np.asarray(self.archive.keep[rows] ^ self.goal.removes)

    def known(self, chosen: Bits) -> Rows:
        """Row of each subset (B, n); -1 for those never evaluated."""
        return self.archive.find(chosen ^ self.goal.removes)

    def evaluate(self, chosen: Bits, limit: int) -> Steps[Rows]:
        """Evaluate subsets (B, n) as far as `limit` passes in all allow.

        Returns:
            (B,) row of each; -1 for those that would have gone beyond the limit.
        """
        keep = chosen ^ self.goal.removes
        unknown = self.archive.unknown(keep)
        fresh = np.ascontiguousarray(keep[unknown[: max(0, limit - self.spent)]])
        self.archive.hits += len(keep) - len(unknown)
        if len(fresh):
            told = yield Ask(fresh, self.baseline)
            self._add(fresh, told)
        return self.archive.find(keep)

    def inside(self, region: Bits) -> Rows:
        """Rows of the archived subsets that lie within a region (n,)."""
        outside = self.archive.keep[:, ~region] ^ self.goal.removes
        return np.flatnonzero(~outside.any(1))

    def best(self, rows: Rows | None = None) -> int:
        """Row of the best subset: reaching the goal, then smallest, then nearest to certainty.

        Where none reaches the goal, the nearest to it; for `confidence`, size is not looked at.
        """
        rows = np.arange(len(self.archive)) if rows is None else rows
        met, size, value = self.met[rows], self.size[rows], self.value[rows]
        if self.goal.mode == "confidence" or not met.any():
            return int(rows[np.lexsort((size, -value))[0]])
        return int(rows[np.lexsort((-value, size, ~met))[0]])

    def front(self) -> Rows:
        """Rows that no other beats in both size and value, smallest first."""
        order = np.lexsort((-self.value, self.size))
        value = self.value[order]
        before = np.concatenate([[-np.inf], np.maximum.accumulate(value)[:-1]])
        return np.asarray(order[value > before])


def partition(centre: NDArray[np.float64], weight: NDArray[np.int64], count: int) -> Bits:
    """Cut superpixels into neighbouring groups of like weight: (groups, n) membership.

    Args:
        centre: (n, 2) row and column.
        weight: (n,) pixels.
        count: Groups wanted; n single superpixels if that is fewer.
    """
    pieces = [np.arange(len(centre))]
    if count >= len(centre):
        return np.eye(len(centre), dtype=np.bool_)
    while len(pieces) < count:
        heaviest = max(
            range(len(pieces)), key=lambda i: (len(pieces[i]) > 1, weight[pieces[i]].sum())
        )
        piece = pieces.pop(heaviest)
        axis = int(np.ptp(centre[piece], axis=0).argmax())
        piece = piece[np.argsort(centre[piece, axis], kind="stable")]
        total = weight[piece].cumsum()
        cut = int(np.clip(np.searchsorted(total, total[-1] / 2) + 1, 1, len(piece) - 1))
        pieces[heaviest:heaviest] = [piece[:cut], piece[cut:]]
    member = np.zeros((len(pieces), len(centre)), dtype=np.bool_)
    for row, piece in enumerate(pieces):
        member[row, piece] = True
    return member


def rank(search: Search, groups: Bits, limit: int) -> Steps[NDArray[np.float64]]:
    """Score superpixels by what their group (groups, n) does first and last.

    Returns:
        (n,) log odds: the gain of the group alone plus the loss when it alone is missing, which is
        twice its Shapley value if no three groups interact.
    """
    n = groups.shape[1]
    ends = search.known(np.array([[True] * n, [False] * n]))
    rows = yield from search.evaluate(np.concatenate([groups, ~groups]), limit)
    full, empty = search.value[ends]
    value = np.where(rows >= 0, search.value[rows], np.repeat([empty, full], len(groups)))
    gain = value[: len(groups)] - empty + full - value[len(groups) :]
    return np.asarray(gain @ groups)


def prefix(search: Search, order: Rows, limit: int) -> Steps[Bits]:
    """The shortest beginning of a ranking that reaches the goal, by bisection: (n,) chosen."""
    low, high = 0, len(order)
    chosen = np.ones(len(order), dtype=np.bool_)
    while high - low > 1:
        middle = (low + high) // 2
        trial = np.zeros(len(order), dtype=np.bool_)
        trial[order[:middle]] = True
        (row,) = yield from search.evaluate(trial[None], limit)
        if row < 0:
            break
        if search.met[row]:
            high, chosen = middle, trial
        else:
            low = middle
    return chosen


def grow(search: Search, score: NDArray[np.float64], limit: int, width: int) -> Steps[Bits | None]:
    """Greedy growth from nothing, trying at each step the `width` superpixels of most known gain.

    Gains of earlier steps stand in for those not tried again (lazy greedy, after Minoux 1978).

    Returns:
        (n,) the first subset that reaches the goal; None where the limit came first.
    """
    chosen = np.zeros(len(score), dtype=np.bool_)
    gain = score.copy()
    current = float(search.value[search.known(chosen[None])][0])
    while not chosen.all():
        free = np.flatnonzero(~chosen)
        tried = free[np.argsort(-gain[free], kind="stable")][:width]
        trial = np.repeat(chosen[None], len(tried), axis=0)
        trial[np.arange(len(tried)), tried] = True
        rows = yield from search.evaluate(trial, limit)
        if (rows < 0).any():
            return None
        gain[tried] = search.value[rows] - current
        best = search.best(rows)
        chosen, current = search.chosen(best), float(search.value[best])
        if search.met[best]:
            return chosen
    return None


def shrink(
    search: Search, chosen: Bits, centre: NDArray[np.float64], limit: int, pieces: int
) -> Steps[bool]:
    """Spare what can be spared of a subset (n,) that reaches the goal, coarse pieces first.

    Each round tries to spare every piece, then as many of the harmless ones together as bisection
    finds; where none is harmless, pieces are halved down to single superpixels.

    Returns:
        Whether the end was reached within the limit: no single superpixel can be spared.
    """
    while True:
        members = np.flatnonzero(chosen)
        parts = np.zeros((min(pieces, len(members)), len(chosen)), dtype=np.bool_)
        parts[:, members] = partition(centre[members], search.pixels[members], pieces)
        rows = yield from search.evaluate(chosen & ~parts, limit)
        safe = np.flatnonzero((rows >= 0) & search.met[rows])
        if len(safe):
            order = safe[np.argsort(-search.value[rows[safe]], kind="stable")]
            spared = np.logical_or.accumulate(parts[order])
            chosen = yield from _spare(search, chosen & ~spared, limit)
        elif (rows < 0).any():
            return False
        elif len(parts) == len(members):
            return True
        else:
            pieces *= 2


def _spare(search: Search, nested: Bits, limit: int) -> Steps[Bits]:
    # The first of ever smaller subsets is known to reach the goal; bisect for the last that does.
    low, high = 0, len(nested)
    while high - low > 1:
        middle = (low + high) // 2
        (row,) = yield from search.evaluate(nested[middle][None], limit)
        if row >= 0 and search.met[row]:
            low = middle
        else:
            high = middle
    return np.asarray(nested[low])
