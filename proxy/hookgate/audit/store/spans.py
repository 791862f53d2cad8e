"""Which stretches of a chain have been delivered."""

from collections.abc import Iterable, Sequence

Stretch = tuple[int, int]


def stretches(seqs: Iterable[int]) -> list[Stretch]:
    """Gives numbers as stretches, both ends included."""
    return merged([(seq, seq) for seq in seqs])


def merged(found: Sequence[Stretch]) -> list[Stretch]:
    """Gives stretches in order, those put together that overlap or touch."""
    result: list[Stretch] = []
    for first, last in sorted(found):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result
