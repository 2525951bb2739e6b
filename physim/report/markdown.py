"""The Markdown that cards are written in, as HTML: headings, paragraphs, lists, tables, code.

Everything is escaped first, so that a card from a stranger can put no markup of its own on the
page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

_INLINE: tuple[tuple[str, str], ...] = (
    (r"\*\*(.+?)\*\*", r"<strong>\1</strong>"),
    (r"(?<![\w*])\*(?!\s)(.+?)(?<!\s)\*(?![\w*])", r"<em>\1</em>"),
    (r"\[([^\]]+)\]\((https?://[^\s)]+)\)", r'<a href="\2">\1</a>'),
    (r"!?\[([^\]]*)\]\([^)]*\)", r"\1"),
)


def to_html(text: str, heading: int = 2) -> str:
    """A card as HTML.

    Arguments:
        text: Markdown; front matter is left out.
        heading: Level that the highest heading becomes.

    Returns:
        HTML.

    Example:
        >>> to_html("# A *card*")
        '<h2>A <em>card</em></h2>'
        >>> to_html("<script>")
        '<p>&lt;script&gt;</p>'
    """
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    return "\n".join(_blocks(text.split("\n"), heading))


def inline(text: str) -> str:
    """One line with code, bold, emphasis and links; escaped."""
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"<code>{html.escape(piece[1:-1])}</code>" if piece.startswith("`") else _marked(piece)
        for piece in pieces
    )


def _marked(text: str) -> str:
    text = html.escape(text)
    for pattern, replacement in _INLINE:
        text = re.sub(pattern, replacement, text)
    return text


def _blocks(lines: list[str], heading: int) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip() or line.lstrip().startswith("<!--"):
            at += 1
        elif line.startswith("```"):
            end = next(
                (k for k in range(at + 1, len(lines)) if lines[k].startswith("```")), len(lines)
            )
            yield _code(lines[at + 1 : end])
            at = end + 1
        elif line.startswith("    "):
            end = _run(lines, at, lambda line: line.startswith("    "))
            yield _code([line[4:] for line in lines[at:end]])
            at = end
        elif match := re.match(r"(#{1,6}) (.*)", line):
            level = min(6, len(match[1]) + heading - 1)
            yield f"<h{level}>{inline(match[2])}</h{level}>"
            at += 1
        elif line.startswith("|"):
            end = _run(lines, at, lambda line: line.startswith("|"))
            yield _table(lines[at:end])
            at = end
        elif line.startswith("- "):
            end = _run(lines, at, lambda line: line.startswith(("- ", "  ")))
            items = re.split(r"(?m)^- ", "\n".join(lines[at:end]))[1:]
            yield (
                "<ul>"
                + "".join(f"<li>{inline(' '.join(item.split()))}</li>" for item in items)
                + "</ul>"
            )
            at = end
        else:
            end = _run(
                lines, at, lambda line: line and not line.startswith(("#", "|", "- ", "```"))
            )
            yield f"<p>{inline(' '.join(lines[at:end]))}</p>"
            at = end


def _run(lines: list[str], at: int, belongs: Callable[[str], object]) -> int:
    """Where the lines that belong together end; at least one line."""
    end = at + 1
    while end < len(lines) and belongs(lines[end]):
        end += 1
    return end


def _code(lines: list[str]) -> str:
    return f"<pre><code>{html.escape(chr(10).join(lines))}</code></pre>"


def _table(lines: list[str]) -> str:
    rows = [
        [
            inline(cell.strip().replace("\\|", "|"))
            for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]
        ]
        for line in lines
        if not re.fullmatch(r"[|\s:-]+", line)
    ]
    head = "".join(f"<th>{cell}</th>" for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[1:]
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'
