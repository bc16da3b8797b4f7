"""The committed gallery of figures: python docs/gallery.py runs/tutorial

Takes pictures with their captions from notebooks that `make tutorial` executed, and writes them
to docs/gallery. Each picture is kept with the hash of its notebook's code: the page says of a
picture that its notebook has changed since.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import sys
from pathlib import Path
from typing import Any

import nbformat

from erasekit.files import read_json, write_bytes, write_json, write_text

DOCS = Path(__file__).parent
HOME = DOCS / "gallery"
#: Notebook and picture, in the order of the page.
SHOWN = (
    ("00_quickstart", "pictures"),
    ("02_base_model", "training"),
    ("03_forgetting", "cosines"),
    ("05_consistency", "ablation"),
    ("06_evaluation", "forget_retain"),
    ("07_embedding_shift", "pca"),
    ("07_embedding_shift", "matrix"),
    ("08_is_it_gone", "audit_verdicts"),
    ("10_our_method", "after"),
    ("11_multimodal_llm", "seen_and_known"),
)
_FIGURE = re.compile(
    r'<figure id="([^"]+)".*?alt="([^"]*)" src="data:image/png;base64,([^"]+)"/>'
    r"<figcaption>(.*?)</figcaption>",
    re.DOTALL,
)


def make(run: Path) -> list[str]:
    """Write the gallery from executed notebooks; names of the pictures that were not there.

    Pictures of notebooks that were not run stay as they are.
    """
    known = HOME / "gallery.json"
    before = {one["name"]: one for one in read_json(known)} if known.is_file() else {}
    kept: list[dict[str, Any]] = []
    missing = []
    for notebook, title in SHOWN:
        name = f"{notebook.split('_')[0]}_{title}"
        path = run / f"{notebook}.ipynb"
        if not path.is_file() and name in before:
            kept.append(before[name])
            continue
        found = figures(path).get(name) if path.is_file() else None
        if found is None:
            missing.append(name)
            continue
        alt, data, caption = found
        write_bytes(HOME / f"{name}.png", base64.b64decode(data))
        shown = {"name": name, "notebook": notebook, "alt": alt, "caption": caption}
        kept.append({**shown, "profile": profile_of(path), "code": code_hash(path)})
    write_json(HOME / "gallery.json", kept)
    write_text(HOME / "README.md", page("", "../../notebooks/"))
    return missing


def figures(executed: Path) -> dict[str, tuple[str, str, str]]:
    """Alternative text, PNG in base64 and caption of each picture of an executed notebook."""
    found = {}
    for cell in nbformat.read(executed, as_version=4).cells:
        for output in cell.get("outputs", []):
            shown = output.get("data", {}).get("text/html", "")
            for name, alt, data, caption in _FIGURE.findall(shown):
                found[name] = (html.unescape(alt), data, html.unescape(caption))
    return found


def profile_of(executed: Path) -> str:
    """The profile that a notebook ran in; the quickstart has none."""
    for cell in nbformat.read(executed, as_version=4).cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            found = re.search(r'^profile = "(\w+)"', cell.source, re.MULTILINE)
            if found:
                return found[1]
    return ""


def code_hash(notebook: Path) -> str:
    """Of a notebook's own code cells: without what papermill put in."""
    cells = nbformat.read(notebook, as_version=4).cells
    own = [
        cell.source
        for cell in cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    return hashlib.sha256("\0".join(own).encode()).hexdigest()[:16]


def page(pictures: str, notebooks: str = "notebooks/") -> str:
    """The gallery as Markdown.

    Args:
        pictures, notebooks: where they are, seen from the page.
    """
    lines = [
        "# Gallery\n",
        "Figures from executed notebooks. The smoke profile is a world of 16 concepts, the default",
        "profile one of 65. `make tutorial`, then `python docs/gallery.py runs/tutorial`, makes",
        "them again.\n",
    ]
    for one in read_json(HOME / "gallery.json") if (HOME / "gallery.json").is_file() else []:
        source = f"{one['notebook']}.ipynb"
        profile = f" ({one['profile']} profile)" if one["profile"] else ""
        lines += [
            f"## [{one['notebook']}]({notebooks}{source})\n",
            f"![{one['alt']}]({pictures}{one['name']}.png)\n",
            f"{one['caption']}{profile}\n",
        ]
        if one["code"] != code_hash(DOCS.parent / "notebooks" / source):
            lines.append("The notebook has changed since this picture was made.\n")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/gallery.py RUN, the folder of `make tutorial`")
    if absent := make(Path(sys.argv[1])):
        sys.exit(f"not in {sys.argv[1]}: {', '.join(absent)}")
