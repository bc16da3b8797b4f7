"""What is given away: the model unchanged, and a card that says no more than the run's files."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mistune
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from support_certificate import FORGOTTEN, NO_LEAK, audit_of, policy_of, without

from erasekit.certificate.certificate import certify
from erasekit.cli import app as cli
from erasekit.errors import RunError, UsageError
from erasekit.evaluate.scorecard import Scorecard
from erasekit.files import read_json, sha256_folder, write_json
from erasekit.models.clip import CONFIG_FILE, WEIGHTS_FILE, load_clip
from erasekit.runs.run_folder import AUDIT, MODEL, PARAMS, PROVENANCE, SCORECARD, RunFolder
from erasekit.sharing.export import CARD_FILE, export, push
from erasekit.sharing.model_card import model_card, plain

HOSTILE = (
    "<script>alert(1)</script> | *a* [b](javascript:c) ![d](//e) `f` https://g.example "
    "www.h.example # i\n# j &lt; $k$ m@n.example ~~o~~"
)


class Page(HTMLParser):
    """Tags, tables and text of a rendered card."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._inside:
            self.tables[-1][-1][-1] += data


def rendered(markdown: str) -> Page:
    """A card as a reader of Markdown shows it: with tables, bare links and struck text."""
    read = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "math"])
    page = Page()
    html = read(markdown)
    assert isinstance(html, str)
    page.feed(html)
    return page


def card_of(run: Path) -> tuple[str, Page]:
    text = model_card(RunFolder(run), "fruitless")
    return text, rendered(text.split("---\n", 2)[2])


def squeezed(text: str) -> str:
    return " ".join(text.split())


# --- text from data -----------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
@example(HOSTILE)
@example("1. a")
@example("- a")
@example("\\")
@example("&amp; &#33;")
def test_any_text_is_shown_letter_by_letter(text: str) -> None:
    shown = plain(text)
    page = rendered(f"- **a** {shown}\n\n| b | c |\n| --- | --- |\n| {shown} | d |\n")
    assert set(page.tags) <= {"ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert [len(line) for line in page.tables[0]] == [2, 2]
    assert squeezed(page.tables[0][1][0]) == squeezed(text)
    assert squeezed(page.text).startswith(squeezed(f"a {text}"))


def test_text_from_data_neither_breaks_the_card_nor_runs(run: Path) -> None:
    _, before = card_of(run)
    card = read_json(run / SCORECARD)
    card["task"] |= {"forget": [HOSTILE], "data": HOSTILE, "forget_languages": [HOSTILE]}
    write_json(run / SCORECARD, card)
    params = read_json(run / PARAMS)
    write_json(run / PARAMS, {**params, "options": {HOSTILE: HOSTILE}})
    audit = read_json(run / AUDIT)
    audit["tests"][0] |= {"title": HOSTILE, "reason": HOSTILE}
    write_json(run / AUDIT, audit)
    text, page = card_of(run)
    assert sorted(set(page.tags)) == sorted(set(before.tags))
    assert page.tags.count("h1") == 1
    assert not {"script", "a", "img"} & set(page.tags)
    assert "<script" not in text
    assert "<script>alert(1)</script>" in page.text


def test_no_folder_of_the_machine_is_told(run: Path) -> None:
    params = read_json(run / PARAMS)
    more = {"data": "folder:/home/me/photos", "model": "ViT-B-32:/srv/private/w.pt"}
    write_json(run / PARAMS, {**params, **more, "options": {"a": r"C:\Users\me\b"}})
    text, page = card_of(run)
    for told in ("folder:photos", "ViT-B-32:w.pt", "a = b"):
        assert told in page.text
    for hidden in ("home", "srv", "private", "Users"):
        assert hidden not in text
    write_json(run / PARAMS, {**params, "model": "hf-hub:org/name"})
    text, page = card_of(run)
    assert "hf-hub:org/name" in page.text
    assert "base_model: org/name" in text.split("---")[1]


# --- numbers ------------------------------------------------------------------------------------


def test_the_table_holds_every_value_with_its_interval(run: Path) -> None:
    card = Scorecard.load(run / SCORECARD)
    _, page = card_of(run)
    table = next(t for t in page.tables if t[0][0].startswith("measure"))
    assert table[0][1:] == [*card.models, "gap (points)"]
    assert {"original", "erased", "control", "oracle"} == set(card.models)
    lines = {line[0]: line[1:] for line in table[1:]}
    assert len(lines) == len({(row.metric, row.subset) for row in card.rows})

    def share(cell: str) -> list[float]:
        value, ends = cell.replace(" %", "").split(" (")
        return [float(value), *map(float, ends.strip(")").split(" to "))]

    for row in card.rows:
        if (row.metric, row.subset) == ("top1", "forget"):
            cell = lines["top-1, forget"][card.models.index(row.model)]
            expected = [100 * v for v in (row.value, row.low, row.high)]
            assert share(cell) == pytest.approx(expected, abs=0.051)
    by_model = {r.model: r for r in card.rows if (r.metric, r.subset) == ("top1", "retain")}
    gap = 100 * (by_model["erased"].value - by_model["oracle"].value)
    assert float(lines["top-1, retain"][-1].replace("−", "-")) == pytest.approx(gap, abs=0.051)


def test_costs_method_and_audit_are_those_of_the_files(run: Path) -> None:
    params, card = read_json(run / PARAMS), Scorecard.load(run / SCORECARD)
    _, page = card_of(run)
    rows = {line[0]: line[1:] for table in page.tables for line in table if len(line) > 1}
    assert rows["method"] == [params["method"]]
    assert rows["steps"] == [str(params["steps"])]
    assert rows["forgotten"] == [", ".join(card.task["forget"])]
    cost = card.cost["erased"]
    assert rows["erasing"] == [str(cost["steps"]), f"{cost['seconds']:.1f}"]
    assert rows["Other wordings"] == ["as the oracle", "3 of 4"]
    assert rows["weights, sha256"] == [read_json(run / PROVENANCE)["models"]["erased"]]


def test_the_certificates_outcome_stands_in_it(certified: Path) -> None:
    certificate = read_json(certified / "certificate.json")
    _, page = card_of(certified)
    assert "The policy “trial” is not met: of 2 criteria, 1 not met." in page.text
    assert certificate["sha256"] in page.text
    assert "and has a signature" in page.text
    rows = {line[0]: line[1] for table in page.tables for line in table if len(line) == 2}
    assert (rows["forgotten"], rows["no-leak"]) != ("met", "met")
    assert rows["no-leak"] == "met"
    assert "held against no policy" not in page.text


def test_what_was_not_measured_is_said(run: Path) -> None:
    said = {
        "no audit": "no attack was tried",
        "no oracle": "No model was retrained",
        "no control": "No control was fine-tuned",
        "no certificate": "held against no policy",
        "always": "Erasing is no proof of deletion",
        "left out": "Not tried on it: ",
        "few oracles": "had 0 retrained models",
    }

    def found() -> set[str]:
        _, page = card_of(run)
        return {name for name, words in said.items() if words in squeezed(page.text)}

    assert found() == {"no certificate", "always", "left out"}
    models = read_json(run / PROVENANCE)["models"]
    audit_of(oracles=0, erased=models["erased"]).save(run / AUDIT)
    assert found() == {"no certificate", "always", "left out", "few oracles"}
    (run / AUDIT).unlink()
    card = read_json(run / SCORECARD)
    card["rows"] = [r for r in card["rows"] if r["model"] in ("original", "erased")]
    write_json(run / SCORECARD, card)
    assert found() == {"no audit", "no oracle", "no control", "no certificate", "always"}
    text, page = card_of(run)
    assert "gap (points)" not in page.text
    assert "None" not in text.replace("\nNone.\n", "")  # the certificate's place


# --- the folder ---------------------------------------------------------------------------------


def test_the_folder_is_the_model_as_it_is_with_its_card(run: Path, tmp_path: Path) -> None:
    before = sha256_folder(run)
    out = export(run, tmp_path / "given" / "fruitless")
    assert without(sha256_folder(run), ".lock") == without(before, ".lock")
    assert without(sha256_folder(out), CARD_FILE) == sha256_folder(run / MODEL)
    made = read_json(run / PROVENANCE)["models"]["erased"]
    assert load_clip(f"local-dir:{out}").fingerprint() == made
    text = (out / CARD_FILE).read_text(encoding="utf-8")
    assert text.startswith("---\nlibrary_name: open_clip\n")
    assert "\n# fruitless: a CLIP that was made to forget\n" in text
    assert str(tmp_path) not in text
    with pytest.raises(UsageError, match="holds files already"):
        export(run, out)


def test_a_run_is_not_written_into(run: Path) -> None:
    with pytest.raises(UsageError, match="lies in the run folder"):
        export(run, run / "given")


@pytest.mark.parametrize("what", ["weights", "audit", "certificate", "interrupted"])
def test_what_does_not_belong_together_is_not_given_away(
    certified: Path, tmp_path: Path, what: str
) -> None:
    words = {
        "weights": "not the model that was measured",
        "audit": "of another model than this run's: run the audit again",
        "certificate": "does not agree with its certificate .*certify it again",
        "interrupted": "interrupted run",
    }
    if what == "weights":
        path = certified / MODEL / WEIGHTS_FILE
        changed = load_file(path)
        changed["logit_scale"] = changed["logit_scale"] + 1
        save_file(changed, path)
    elif what == "audit":
        write_json(certified / AUDIT, {**read_json(certified / AUDIT), "models": {"erased": "0"}})
    elif what == "certificate":
        write_json(certified / PARAMS, {**read_json(certified / PARAMS), "steps": 4})
    else:
        (certified / SCORECARD).unlink()
    with pytest.raises(RunError, match=words[what]) as error:
        export(certified, tmp_path / "given")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "given").exists()


# --- the hub ------------------------------------------------------------------------------------


class FakeHub:
    """What `HfApi` does, without a network."""

    def __init__(self, *, there: str = "", fails: str = "") -> None:
        self.there, self.fails = there, fails
        self.made: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        if self.fails == "create":
            raise OSError("401 Client Error: Unauthorized\nmore text")
        self.made = {"name": repo_id, "private": self.there != "public" and private}

    def model_info(self, repo_id: str) -> SimpleNamespace:
        return SimpleNamespace(private=self.made["private"])

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> str:
        if self.fails == "upload":
            raise ConnectionError
        self.files = {p.name: p.read_bytes() for p in Path(folder_path).iterdir()}
        return f"hub/{repo_id}"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    hub = FakeHub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "token")
    return hub


def test_a_run_is_pushed_and_private(
    run: Path, tmp_path: Path, fake: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--out", str(tmp_path / "given"), "--push", "hf-hub:org/my_model"]
    assert cli.run(["export", str(run), *given]) == 0
    assert "uploaded: hub/org/my_model" in capsys.readouterr().out
    assert fake.made == {"name": "org/my_model", "private": True}
    there = {CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, "tokenizer.json", "tokenizer_config.json"}
    assert set(fake.files) == there
    card = fake.files[CARD_FILE].decode()
    assert 'open_clip.get_tokenizer("hf-hub:org/my_model")' in card
    # From the hub open_clip takes the tokenizer by this name; all else is as it was.
    mine, theirs = read_json(run / MODEL / CONFIG_FILE), read_json(tmp_path / "given" / CONFIG_FILE)
    assert theirs["model_cfg"]["text_cfg"].pop("hf_tokenizer_name") == "org/my_model"
    assert mine["model_cfg"]["text_cfg"].pop("hf_tokenizer_name") != "org/my_model"
    assert mine == theirs


def test_a_pushed_model_is_read_from_the_hub_with_its_tokenizer(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repository's name leads to the tokenizer; a folder of that name stands in for the hub."""
    monkeypatch.chdir(tmp_path)
    out = export(run, Path("org/fruitless"), repository="org/fruitless")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repo, file: str(out / file))
    get = lambda model_id, filename=WEIGHTS_FILE, **_: str(out / filename)  # noqa: E731
    monkeypatch.setattr("open_clip.pretrained.download_pretrained_from_hf", get)
    monkeypatch.setattr("open_clip.factory.download_pretrained_from_hf", get)
    texts = ["a red apple", "un chien", "猫"]
    found, made = load_clip("hf-hub:org/fruitless"), load_clip(run / MODEL)
    assert found.tokenizer(texts).equal(made.tokenizer(texts))
    assert found.fingerprint() == made.fingerprint()


def test_a_public_repository_is_not_written_to_by_accident(tmp_path: Path, fake: FakeHub) -> None:
    fake.there = "public"
    with pytest.raises(UsageError, match="everyone can read it: give another name, or --public"):
        push(tmp_path, "org/name")
    assert not fake.files
    (tmp_path / "a").touch()
    push(tmp_path, "org/name", public=True)
    assert set(fake.files) == {"a"}
    assert fake.made["private"] is False


@pytest.mark.parametrize(("fails", "words"), [("create", "401 Client"), ("upload", "Connection")])
def test_a_hub_that_does_not_answer_is_one_line(
    tmp_path: Path, fake: FakeHub, fails: str, words: str
) -> None:
    fake.fails = fails
    with pytest.raises(RunError, match=rf"could not be uploaded .*{words}.*The folder is whole: "):
        push(tmp_path, "org/name")


def test_without_a_token_nothing_is_written(
    run: Path,
    tmp_path: Path,
    fake: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    out = tmp_path / "given"
    assert cli.run(["export", str(run), "--out", str(out), "--push", "hf-hub:org/name"]) == 2
    assert "no token of the hub is here" in capsys.readouterr().err
    assert not out.exists()


def test_a_certified_run_without_a_signature_says_so(run: Path) -> None:
    certify(run, policy_of(FORGOTTEN, NO_LEAK))
    _, page = card_of(run)
    assert "and is not signed" in page.text
