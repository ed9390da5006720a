"""Bars with their spread, as SVG by hand: a panel for each work, on its own scale, a bar for each server."""

from html import escape

WIDTH, LABEL, VALUE = 760, 150, 190  # of the whole, of the names left and of the numbers right of the bars
BAR, GAP, PANEL_GAP, TITLE = 16, 6, 26, 24
OURS, OTHERS, INK, FAINT = "#1f5fa8", "#b9c0c8", "#1c1e21", "#6b7177"
STYLE = "font-family: system-ui, sans-serif; font-size: 12px"


def bars(title, panels):
    """The whole drawing as text.

    `panels`: (title, [(name, median, lowest, highest) or (name, None, reason)]).
    """
    parts, y = [text(16, 26, title, size=15, weight="bold")], 56
    for panel, rows in panels:
        drawn, y = draw_panel(panel, rows, y)
        parts += drawn
    size = f'viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{STYLE}" role="img">'
    ground = f'<rect width="{WIDTH}" height="{y}" fill="white"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>", ""])


def draw_panel(panel, rows, y):
    scale = (WIDTH - LABEL - VALUE) / max([row[3] for row in rows if row[1] is not None] or [1])
    parts = [text(16, y, panel, weight="600")]
    y += TITLE - BAR
    for row in rows:
        middle = y + BAR / 2
        parts.append(
            text(LABEL - 8, middle + 4, row[0], anchor="end", fill=INK if is_ours(row[0]) else FAINT)
        )
        parts += absent(row, middle) if row[1] is None else bar(row, y, scale)
        y += BAR + GAP
    return parts, y + PANEL_GAP


def bar(row, y, scale):
    name, median, lowest, highest = row
    middle = y + BAR / 2
    low, high = LABEL + lowest * scale, LABEL + highest * scale
    ends = "".join(f"M{x:.1f} {middle - 4}v8" for x in (low, high))
    whisker = f'<path d="M{low:.1f} {middle}H{high:.1f}{ends}" stroke="{INK}" fill="none"/>'
    place = f'x="{LABEL}" y="{y}" width="{median * scale:.1f}" height="{BAR}"'
    return [
        f'<rect {place} fill="{OURS if is_ours(name) else OTHERS}"/>',
        *([whisker] if highest > lowest else []),
        text(high + 8, middle + 4, label(median, lowest, highest)),
    ]


def label(median, lowest, highest):
    return figure(median) + (f"  ({figure(lowest)}–{figure(highest)})" if highest > lowest else "")


def figure(value):
    """Three digits or so."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def absent(row, middle):
    return [text(LABEL, middle + 4, f"– {row[2]}", fill=FAINT)]


def is_ours(name):
    return name.startswith("bothways")


def text(x, y, content, *, anchor="start", size=12, weight="normal", fill=INK):
    font = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {font}>{escape(content)}</text>'
