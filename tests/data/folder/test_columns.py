"""Columns by their usual names, or by option."""

from __future__ import annotations

import pytest

from erasekit.data.folder.columns import Columns
from erasekit.errors import UsageError


@pytest.mark.parametrize(
    "names",
    [("image", "caption"), ("filepath", "title"), ("Image Name", "TEXT"), ("file-name", "comment")],
)
def test_usual_names_are_found_in_any_case(names: tuple[str, str]) -> None:
    found = Columns().find("t.csv", ["id", names[1], names[0], "Split"])
    assert found == {"image": names[0], "caption": names[1], "split": "Split"}


def test_the_kits_own_name_comes_before_a_usual_one() -> None:
    assert Columns().find("t.csv", ["text", "caption", "path", "image"]) == {
        "image": "image",
        "caption": "caption",
    }


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        (["image", "words"], {}, r"no column 'caption'; it has image, words.*--caption-column"),
        (
            ["image", "text", "title"],
            {},
            r"'text' and the column 'title': choose.*--caption-column",
        ),
        (["image", "caption", "caption"], {}, r"'caption' twice: rename one of them"),
        (["image", "caption"], {"caption": "words"}, "no column 'words'; it has image, caption"),
        ([], {}, "no column 'image'; it has none"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_option(
    names: list[str], asked: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        Columns(**asked).find("t.csv", names)


def test_an_option_names_any_column() -> None:
    found = Columns("a", "b").find("t.csv", ["image", "caption", "a", "b"])
    assert found == {"image": "a", "caption": "b"}
