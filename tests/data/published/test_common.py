"""What the scripts that fetch the papers' data have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_published import script


@pytest.mark.parametrize("name", ["get_cifar10", "get_cifar100", "get_flickr30k", "get_cc12m"])
def test_help_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        script(name).main(["--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert f"python data_scripts/{name}.py --out data/" in said
    assert "Exit code 0" in said and "--mirror URL" in said and "erasekit[data]" in said


@pytest.mark.parametrize("name", ["get_cifar10", "get_cifar100", "get_flickr30k", "get_cc12m"])
def test_ctrl_c_is_one_line(
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = script(name)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for function in ("fetch", "hub_sums"):
        monkeypatch.setattr(getattr(module, "_cifar", module), function, interrupt, raising=False)
    (tmp_path / "folder").mkdir()
    given = ["--images", str(tmp_path / "folder")] if name == "get_flickr30k" else []
    assert module.main(["--out", str(tmp_path / "out"), *given]) == 130
    assert capsys.readouterr().err == "interrupted: the same command, given again, goes on\n"
