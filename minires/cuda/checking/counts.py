"""Counts of a run's requests, line by line."""

import numpy as np

from minires.cuda.checking.job import Memory
from minires.cuda.checking.report import Requests


def requests(memories: list[Memory], rows: list[dict], lines: dict[int, int]) -> list[Requests]:
    """The counts, line by line; a line may have several places in the code."""
    sums: dict[tuple, np.ndarray] = {}
    for row in rows:
        memory = memories[row["region"]]
        key = lines.get(row["where"]), memory.name, bool(row["store"]), bool(row["shared"])
        numbers = np.array([row[name] for name in ("requests", "lanes", "moved", "least")])
        sums[key] = sums.get(key, 0) + numbers
    by_line = sorted(sums.items(), key=lambda item: item[0][0] or 0)
    return [
        Requests(line, array, store, shared, int(n), float(lanes / n), int(moved), int(least))
        for (line, array, store, shared), (n, lanes, moved, least) in by_line
    ]
