"""The frame of every page: one file, styles inline, pictures inside, no script."""

from __future__ import annotations

import base64
from html import escape

_CSS = """
:root { color-scheme: light dark; --back: #f4f6f8; --card: #ffffff; --ink: #1d2730;
  --soft: #5b6873; --line: #d9dee3; --accent: #0072b2; --warn: #fff4dc; }
@media (prefers-color-scheme: dark) { :root { --back: #10161c; --card: #182028; --ink: #dde4ea;
  --soft: #9aa7b2; --line: #38434e; --accent: #56b4e9; --warn: #33290f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 1.25rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .75rem; }
p { margin: .5rem 0; max-width: 75ch; }
.soft { color: var(--soft); }
.note { background: var(--warn); border-radius: 8px; padding: .6rem .9rem; max-width: none;
  overflow-wrap: anywhere; }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  margin: 1rem 0; }
.cards div { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: .75rem 1rem; }
.cards b { display: block; font-size: 1.7rem; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.cards span { color: var(--soft); font-size: .85rem; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .8rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { color: var(--soft); font-weight: 600; font-size: .85rem; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 500; }
th:first-child { position: sticky; left: 0; background: var(--card); }
.sheet img { display: block; width: 100%; min-width: 760px; height: auto; }
.plots { display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); }
.plots figure, .faces figure { margin: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; overflow: hidden; }
.plots figure { padding: .5rem; }
.plots img { display: block; width: 100%; height: auto; }
.faces { display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 158px), 1fr)); }
.faces img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; }
.faces .none { aspect-ratio: 1; display: grid; place-items: center; color: var(--soft); }
.faces figcaption { padding: .5rem .65rem .6rem; font-size: .82rem; line-height: 1.35;
  overflow-wrap: anywhere; }
.faces strong { color: var(--accent); }
"""


def page(title: str, body: str) -> str:
    """A whole HTML page.

    Args:
        title: As text; it is escaped.
        body: As HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="generator" content="maskwatch">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table; the first cell of a row names it. All cells are text and are escaped."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = []
    for first, *others in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in others)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    body = "\n".join(lines)
    return (
        f'<div class="wide"><table>\n<thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def cards(figures: list[tuple[str, str]]) -> str:
    """Large figures, each with a line below that says what it is."""
    inner = "".join(f"<div><b>{escape(b)}</b><span>{escape(s)}</span></div>" for b, s in figures)
    return f'<div class="cards">{inner}</div>'


def data_uri(content: bytes, kind: str) -> str:
    """A file inside the page; `kind` is `png` or `jpeg`."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def plot_figure(light: bytes, dark: bytes, says: str) -> str:
    """A plot as PNG in two looks, of which the reader's scheme shows one."""
    return (
        '<figure><picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="{data_uri(dark, "png")}">'
        f'<img src="{data_uri(light, "png")}" alt="{escape(says)}"></picture></figure>'
    )
