"""Which captions the fonts at hand can draw.

matplotlib brings DejaVu, which has Latin, Cyrillic, Greek and Arabic but nothing of
East Asia. Where the machine has a font that does, it is used; the extra `tutorial` brings
one for Japanese. Without any, a picture shows the caption in English and says so, instead of
drawing empty boxes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from matplotlib import font_manager, ft2font

BASE = "DejaVu Sans"
#: Families that carry what DejaVu lacks, as the usual systems ship them.
_FALLBACKS = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "Source Han Sans",
    "IPAexGothic",
    "IPAGothic",
    "TakaoPGothic",
    "VL Gothic",
    "WenQuanYi Zen Hei",
    "Hiragino Sans",
    "Yu Gothic",
    "Meiryo",
    "MS Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)
# Right-to-left and Indic letters join and turn: without a text shaper they come out wrong.
_SHAPED = ((0x0590, 0x08FF), (0x0900, 0x0DFF), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFE))


@lru_cache(maxsize=1)
def font_families() -> list[str]:
    """DejaVu, then whatever of the fallbacks this machine has.

    The font of the package matplotlib-fontja is registered without importing the package: the
    import would make it the family of all pictures. It has no bold face, and the plain one is
    registered as such too, or matplotlib would warn of every title.
    """
    if spec := find_spec("matplotlib_fontja"):
        fonts = font_manager.fontManager
        for path in Path(str(spec.origin)).parent.glob("fonts/*.ttf"):
            fonts.addfont(path)
            fonts.ttflist.append(replace(fonts.ttflist[-1], weight=700))
    have = {font.name for font in font_manager.fontManager.ttflist}
    return [BASE, *(name for name in _FALLBACKS if name in have)]


@lru_cache(maxsize=1)
def _drawn() -> frozenset[int]:
    """Every character that one of the families has a glyph for."""
    found: set[int] = set()
    for family in font_families():
        path = font_manager.findfont(family, fallback_to_default=False)
        found.update(font_manager.get_font(path).get_charmap())
    return frozenset(found)


def shapes_text() -> bool:
    """Whether this matplotlib shapes text, that is, joins Arabic and turns it around."""
    return hasattr(ft2font, "__libraqm_version__")


def can_draw(text: str) -> bool:
    """Whether `text` comes out right in a picture on this machine."""
    shaped = any(first <= ord(c) <= last for c in text for first, last in _SHAPED)
    return (shapes_text() or not shaped) and all(ord(c) in _drawn() for c in text)
