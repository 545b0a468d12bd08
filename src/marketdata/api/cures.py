"""What each code of an error or a warning means and what to do about it: `docs/errors.md`, for machines and readers.

The file is the one place where that is written; it goes into the wheel.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

_SECTION: Final = re.compile(r"^### `([a-z-]+)`(?: \(\d{3}\))?\n\n(.+?)(?=\n\n#|\Z)", re.MULTILINE | re.DOTALL)
_CODE_HEADING: Final = re.compile(r"<h3><code>([a-z-]+)</code>")
_PAGE_LINK: Final = re.compile(r'<a href="(?!https?://)[^"]*">(.*?)</a>')
_MARKDOWN_LINK: Final = re.compile(r"\[([^]]+)]\((?!https?://)[^)]*\)")


def read_cures() -> Mapping[str, str]:
    """The text of each code, in Markdown."""
    return {code: _MARKDOWN_LINK.sub(r"\1", " ".join(text.split())) for code, text in _SECTION.findall(_read())}


def render_cures() -> str:
    """The whole text as HTML, each code's heading with the code as its id; links to other files are left out."""
    html: str = MarkdownIt("commonmark").render(_read())
    return _PAGE_LINK.sub(r"\1", _CODE_HEADING.sub(r'<h3 id="\1"><code>\1</code>', html))


def _read() -> str:
    """The text: beside this module in an installed wheel, under `docs` in a working copy."""
    installed = Path(__file__).with_name("errors.md")
    path = installed if installed.is_file() else Path(__file__).parents[3] / "docs" / "errors.md"
    return path.read_text(encoding="utf-8")
