"""Every link of the built site: pages and headings exist, and nothing is loaded from elsewhere.

Usage: python ci/site_links.py build/site. Nothing is fetched: an address of another host is only
asked to be one.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a page loads by itself, beside what a reader may follow.
LOADS = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}
SCHEMES = {"http", "https", "mailto"}
#: What a style sheet loads from another host.
ELSEWHERE = re.compile(r"""(?:url\(|@import )["']?((?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """The headings that a page can be linked at, and its links as (address, is loaded)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[tuple[str, bool]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag defines and where it leads."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        attribute = LOADS.get(tag, "href")
        if attribute in found and not found[attribute].startswith("data:"):
            self.links.add((found[attribute], tag in LOADS))


def problems(site: Path) -> list[str]:
    """What is wrong with the links of a site, with the page of each."""
    files = [path for path in site.rglob("*.html") if path.relative_to(site).parts[0] != "_static"]
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in files}
    found = []
    for path, page in sorted(pages.items()):
        for address, loaded in sorted(page.links):
            if problem := _problem(address, loaded, path, pages):
                found.append(f"{path.relative_to(site)}: {address}: {problem}")
    for path in sorted(site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        found += [
            f"{path.relative_to(site)}: {address}: is loaded from another host"
            for address in ELSEWHERE.findall(text)
        ]
    return found


def _problem(address: str, loaded: bool, path: Path, pages: dict[Path, Page]) -> str | None:  # noqa: FBT001
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        if loaded:
            return "is loaded from another host"
        well_formed = parts.scheme in SCHEMES and (parts.scheme == "mailto" or parts.hostname)
        return None if well_formed else "is no address; http, https and mailto are accepted"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "leads to no file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "leads to no heading of that page"
    return None


if __name__ == "__main__":
    wrong = problems(Path(sys.argv[1]).resolve())
    sys.exit("\n".join(wrong) if wrong else 0)
