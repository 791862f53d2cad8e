"""Charts as SVG inside a page: no script, nothing from elsewhere, and told in words to who can't see them."""

from datetime import datetime

from markupsafe import Markup

from hookgate.audit.report.model import Bucket

#: From the bottom of a column to its top; other outcomes than these are not drawn.
ORDER = ("allow", "no_match", "ask", "defer", "deny", "error")
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 960.0, 52.0, 4.0, 10.0, 22.0
_GRID_LINES = 3
_LABELS = 6
_MOST_COLUMN_WIDTH = 40.0


def columns(title: str, buckets: tuple[Bucket, ...], outcomes: tuple[str, ...], seconds: int, height: float) -> Markup:
    """Gives a chart of stacked columns: so many decisions of these outcomes in each part of the period."""
    most = max((sum(bucket.outcomes.get(name, 0) for name in outcomes) for bucket in buckets), default=0)
    top = _round_up(most)
    room, tall = _WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    step = room / max(1, len(buckets))
    wide = min(step * 0.78, _MOST_COLUMN_WIDTH)
    parts = [_grid(top, tall)]
    for number, bucket in enumerate(buckets):
        base = 0.0
        x = _LEFT + step * number + (step - wide) / 2
        for name in outcomes:
            count = bucket.outcomes.get(name, 0)
            if not count:
                continue
            # What is there can be seen, however small it is beside the rest.
            size = max(count / top * tall, 1.0)
            parts.append(
                Markup('<rect class="o-{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                    name, x, _TOP + tall - base - size, wide, size
                )
            )
            base += size
        if number % max(1, len(buckets) // _LABELS) == 0:
            parts.append(
                Markup('<text class="tick" x="{:.1f}" y="{:.1f}">{}</text>').format(
                    _LEFT + step * number, height - 6, _label(bucket.begin, seconds)
                )
            )
    return Markup(
        '<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img"><title>{}</title><desc>{}</desc>{}</svg>'
    ).format(_WIDTH, height, title, _told(buckets, outcomes, most), Markup("").join(parts))


def bar(count: int, most: int) -> Markup:
    """Gives a bar beside a number that says the same."""
    share = max(count / most * 100, 0.8) if most else 0
    return Markup(
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{:.1f}" height="6"/></svg>'
    ).format(share)


def _grid(top: int, tall: float) -> Markup:
    lines = []
    for number in range(_GRID_LINES + 1):
        value = top * number // _GRID_LINES if top >= _GRID_LINES else top * number / _GRID_LINES
        y = _TOP + tall - tall * number / _GRID_LINES
        lines.append(
            Markup('<line class="grid" x1="{:.0f}" x2="{:.0f}" y1="{:.1f}" y2="{:.1f}"/>').format(
                _LEFT, _WIDTH - _RIGHT, y, y
            )
        )
        if number in (0, _GRID_LINES):
            lines.append(
                Markup('<text class="value" x="{:.0f}" y="{:.1f}">{}</text>').format(_LEFT - 6, y + 4, f"{value:,.0f}")
            )
    return Markup("").join(lines)


def _told(buckets: tuple[Bucket, ...], outcomes: tuple[str, ...], most: int) -> str:
    sums = {name: sum(bucket.outcomes.get(name, 0) for bucket in buckets) for name in outcomes}
    told = ", ".join(f"{count} {name}" for name, count in sums.items() if count)
    return f"{len(buckets)} parts of the period; {told or 'nothing'}; at most {most} in one part."


def _round_up(count: int) -> int:
    """Gives the next number that reads well on an axis."""
    size = 1
    while size * 10 < count:
        size *= 10
    steps = (size * tenths // 10 for tenths in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100))
    return next((step for step in steps if step >= count), max(1, count))


def _label(begin: str, seconds: int) -> str:
    at = datetime.fromisoformat(begin)
    return f"{at:%d %b}" if seconds >= 12 * 3600 else f"{at:%d %b %H:%M}"
