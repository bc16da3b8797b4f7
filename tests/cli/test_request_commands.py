"""`requests` as a team meets it: by exit code and words."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support_certificate import FORGOTTEN, write_keys, write_policy
from support_cli import answers_to, check_refused, tiny_arguments

from erasekit.cli import app as cli
from erasekit.files import read_json
from erasekit.requests import making
from erasekit.requests.entry_store import EntryStore
from erasekit.requests.registry_folder import Registry

KEPT = {**FORGOTTEN, "id": "kept", "subset": "retain", "compare": "drop_from_original"}

REFUSED = {
    "no command": (["list"], "REGISTRY"),
    "no registry": (["list", "none"], "none is not a registry: make one with erasekit requests"),
    "no key": (["init", "reg", "--policy", "example"], "--key"),
    "key not there": (["init", "reg", "--policy", "example", "--key", "k"], "cannot read the key"),
    "unknown policy": (["init", "reg", "--policy", "exampel", "--key", "k"], "did you mean"),
    "unknown method": (
        ["init", "reg", "--policy", "example", "--key", "k", "--method", "delte"],
        "did you mean 'delete'?",
    ),
    "unknown folder": (
        ["init", "reg", "--policy", "example", "--key", "k", "--data", "folder:none"],
        "there is no such folder",
    ),
    "unknown profile": (
        ["init", "reg", "--policy", "example", "--key", "k", "--profile", "smok"],
        "did you mean 'smoke'?",
    ),
    "unknown state": (["list", "none", "--state", "aproved"], "did you mean 'approved'?"),
}


def test_misuse_is_refused_in_one_line(tmp_path: Path) -> None:
    found = answers_to(
        {name: ["requests", *given] for name, (given, _) in REFUSED.items()}, tmp_path
    )
    for name, (_, words) in REFUSED.items():
        check_refused(found[name], words)


def test_from_the_letter_to_the_live_model_and_back(
    tmp_path: Path,
    tiny: dict,
    own_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from erasekit.runs import figures

    monkeypatch.setattr(figures, "write_figures", lambda *_: [])
    monkeypatch.chdir(tmp_path)
    policy = write_policy(tmp_path / "policy.yaml", {**KEPT, "at_most": 1})
    private, public = write_keys(tmp_path)

    def ask(*given: object, code: int = 0) -> str:
        found = cli.run(["requests", *map(str, given)])
        out, err = capsys.readouterr()
        assert found == code, (given, out, err)
        if code:
            assert err.startswith("error: ") and err.count("\n") == 1
        return out + err

    ask("init", "reg", "--policy", policy, "--key", private, *tiny_arguments(tiny))
    assert "r1 is received" in ask("add", "reg", "--forget", "banana", "--as", "ann")
    assert "r2 asks for the same as r1" in ask("add", "reg", "--forget", "Banana", code=2)
    assert "ask someone else" in (
        ask("review", "reg", "r1") and ask("approve", "reg", "r1", "--as", "ann", code=2)
    )
    assert "r1 is approved" in ask("approve", "reg", "r1", "--as", "dora", "--why", "checked")
    assert "no version is verified" in ask("promote", "reg", code=2)
    assert ask("run", "reg") == "v1 is made for r1: verify it next\n"
    assert ask("run", "reg") == "no request is approved: nothing to do\n"
    assert ask("verify", "reg").startswith("v1 is candidate. The policy “trial” is met")
    shutil.copy(tmp_path / "reg" / "checkpoint", tmp_path / "kept")
    assert ask("promote", "reg") == "v1 is canary\n"
    said = ask("promote", "reg", "--queries", own_folder)
    assert said.endswith("v1 is live\n") and "answers differ from v0's" in said
    model = tmp_path / "reg" / read_json(tmp_path / "reg" / "aliases.json")["live"]["model"]
    assert (model / "open_clip_model.safetensors").is_file()
    assert json.loads(ask("list", "reg", "--json"))["aliases"] == {"live": "v1"}
    assert ask("rollback", "reg", "--why", "complaints") == ("v0 is live again; rolled back: r1\n")
    assert "r1: rolled_back, version v1" in ask("show", "reg", "r1")
    said = ask("log", "reg", "--since", "kept", "--public-key", public)
    assert "11 entries, as signed in the last checkpoint" in said
    assert "consistent with the 8 entries of kept; proof:" in said
    other = write_keys(tmp_path, "other")[1]
    assert "not signed by" in ask("log", "reg", "--public-key", other, code=1)
    assert ask("page", "reg").startswith("page: ")


#: Policies by name: one that is met, one that no model meets, and one that keeps owls.
POLICIES: dict[str, dict[str, Any]] = {
    "met": {"criteria": [{**KEPT, "at_most": 1}]},
    "never met": {"criteria": [{**KEPT, "at_most": -1}]},
    "keeps owls": {"criteria": [{**KEPT, "at_most": 1}], "requests": {"keep": ["owl"]}},
}
ASKED = ("banana", "owl", "grapes")
PEOPLE = ("ann", "dora")


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, whole_run: Path, tiny: dict
) -> Iterator[Path]:
    """A new registry, in which a version is a copy of a whole run."""
    folder = tmp_path_factory.mktemp("registries")
    for name, policy in POLICIES.items():
        told = {"name": name, "purpose": "To try it.", **policy}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    key, given = write_keys(folder)[0], tiny_arguments(tiny)
    told = ["--policy", str(folder / "met.yaml"), "--key", str(key), "--as", "ann"]
    assert cli.run(["requests", "init", str(folder / "reg"), *told, *given]) == 0

    def erase(registry: Registry, version: Any, _: bool) -> None:
        shutil.copytree(whole_run, registry.run_folder(version.id), dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "_erase", erase)
        yield folder / "reg"


def run_quietly(*given: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(["requests", *map(str, given)])
    return code, out.getvalue(), err.getvalue()


def test_one_pass_in_a_timer_says_by_its_code_what_happened(registry: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(registry, tmp_path / "reg"))

    def approved(rule: str) -> None:
        name = f"r{len(Registry(folder).book.requests) + 1}"
        for told in (["add", folder, "--forget", rule], ["review", folder, name]):
            assert run_quietly(*told, "--as", "ann")[0] == 0
        assert run_quietly("approve", folder, name, "--as", "dora")[0] == 0

    once = ("run", folder, "--once")
    assert run_quietly(*once)[:2] == (0, "no request is approved: nothing to do\n")
    approved("banana")
    code, out, err = run_quietly(*once)
    assert (code, err) == (0, "")
    assert "v1 is candidate. The policy “met” is met" in out
    approved("owl")
    approved("grapes")
    new = registry.parent / "keeps owls.yaml"
    code, out, _ = run_quietly("policy", folder, new, "--why", "ours", "--as", "ann")
    assert code == 0
    assert "v1 is to be verified with it" in out
    code, out, err = run_quietly(*once)
    assert code == 2
    assert err.startswith("error: failed alone, since they cannot be carried out: r2: forget = owl")
    assert [line.split(".")[0] for line in out.splitlines()] == [
        "v1 is candidate",
        "v2 is candidate",
    ]
    approved("red apple")
    run_quietly("policy", folder, registry.parent / "never met.yaml", "--why", "x", "--as", "ann")
    code, out, _ = run_quietly(*once)
    assert code == 1
    assert "v3 is failed" in out
    assert run_quietly(*once)[0] == 0
    with Registry(folder).working():
        assert run_quietly(*once)[1].startswith("another process is at work here")
    code, _, err = run_quietly(*once, "--only", "r1")
    assert (code, err) == (2, "error: --once takes all that is approved: leave --only out\n")


class WholeCommands(RuleBasedStateMachine):
    """Random commands and crashes, against a small model of a registry."""

    new: ClassVar[Path]  # the registry that each example begins with

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.folder = shutil.copytree(self.new, self.place / "reg")
        self.policy = "met"
        self.filed: list[dict[str, str]] = []  # rule, by and state of each request
        self.versions: list[dict[str, Any]] = [{"stage": "live", "forgets": [], "batch": []}]
        self.lives = [0]

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    def says(self, code: int, *given: object) -> None:
        """Run a command that must end with this code, and with one line for an error."""
        found, out, err = run_quietly(given[0], self.folder, *given[1:])
        assert found == code, (given, out, err, self.filed, self.versions)
        lines = err.splitlines()
        assert len(lines) == (code == 2 or (code == 1 and not out)), err
        assert all(line.startswith("error: ") for line in lines)

    @rule(what=st.sampled_from(ASKED), who=st.sampled_from(PEOPLE))
    def add(self, what: str, who: str) -> None:
        given = ("add", "--forget", what, "--as", who)
        if self.policy == "keeps owls" and what == "owl":
            self.says(2, *given)
            return
        closed = ("denied", "failed", "duplicate")
        same = any(r["rule"] == what and r["state"] not in closed for r in self.filed)
        self.says(2 if same else 0, *given)
        state = "duplicate" if same else "received"
        self.filed.append({"rule": what, "by": who, "state": state})

    @rule(
        n=st.integers(0, 3),
        what=st.sampled_from(["review", "ask", "approve", "approve", "refuse"]),
        who=st.sampled_from(PEOPLE),
    )
    def decide(self, n: int, what: str, who: str) -> None:
        before = {
            "review": ("received", "needs_input"),
            "ask": ("received", "in_review"),
            "approve": ("in_review", "failed", "rolled_back"),
            "refuse": ("received", "needs_input", "in_review", "failed", "rolled_back"),
        }[what]
        after = {"review": "in_review", "ask": "needs_input", "approve": "approved"}
        request = self.filed[n] if n < len(self.filed) else {"state": "", "by": ""}
        can = request["state"] in before and not (what == "approve" and request["by"] == who)
        more = ("--needs", "which?") if what == "ask" else ("--why", "a reason")
        command = "review" if what == "ask" else what
        self.says(0 if can else 2, command, f"r{n + 1}", *more, "--as", who)
        if can:
            request["state"] = after.get(what, "denied")

    @rule()
    def hurry(self) -> None:
        """Bring every request as far as approval."""
        for n, request in enumerate(self.filed):
            if request["state"] in ("received", "needs_input"):
                self.decide(n, "review", "ann")
            self.decide(n, "approve", next(p for p in PEOPLE if p != request["by"]))

    @rule(name=st.sampled_from(sorted(POLICIES)))
    def change(self, name: str) -> None:
        new = self.new.parent / f"{name}.yaml"
        can = name != self.policy
        self.says(0 if can else 2, "policy", new, "--why", "a reason", "--as", "ann")
        self.policy = name

    def waiting(self) -> dict[str, Any] | None:
        for stage in ("canary", "candidate"):
            for version in self.versions:
                if version["stage"] == stage and version["policy"] != self.policy:
                    return version
        return None

    def compare(self, version: dict[str, Any]) -> bool:
        met = self.policy != "never met"
        version["policy"] = self.policy
        for n in version["batch"]:
            self.filed[n]["state"] = "verified" if met else "failed"
        if not met:
            version["stage"] = "failed"
        elif version["stage"] == "made":
            for other in self.versions:
                if other["stage"] == "candidate":
                    other["stage"] = "retired"
            version["stage"] = "candidate"
        return met

    @rule()
    def verify(self) -> None:
        version = self.waiting()
        if version is None:
            self.says(2, "verify")
        else:
            self.says(0 if self.compare(version) else 1, "verify")

    def run_model(self) -> int:
        """What `run --once` does, and its code."""
        results, failed = [], False
        if version := self.waiting():
            results.append(self.compare(version))
        batch = [n for n, r in enumerate(self.filed) if r["state"] == "approved"]
        for n in list(batch):
            if self.policy == "keeps owls" and self.filed[n]["rule"] == "owl":
                self.filed[n]["state"], failed = "failed", True
                batch.remove(n)
        if batch:
            forgets = [n for n, r in enumerate(self.filed) if r["state"] in ("verified", "live")]
            made = {"stage": "made", "batch": batch, "forgets": forgets + batch}
            self.versions.append(made)
            results.append(self.compare(made))
        return 1 if not all(results) else 2 if failed else 0

    @rule()
    def run(self) -> None:
        code, out, err = run_quietly("run", self.folder, "--once")
        assert code == self.run_model(), (out, err)

    @rule(at=st.integers(0, 4), after=st.booleans())
    def crash(self, at: int, after: bool) -> None:
        """`run --once` dies before or after its entry `at` is written, and is given again."""
        add, count = EntryStore.add, [0]

        def killed(self: EntryStore, *given: Any, **more: Any) -> Any:
            count[0] += 1
            if count[0] == at + 1 and not after:
                raise KeyboardInterrupt
            done = add(self, *given, **more)
            if count[0] == at + 1:
                raise KeyboardInterrupt
            return done

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(EntryStore, "add", killed)
            code = run_quietly("run", self.folder, "--once")[0]
        wanted = self.run_model()
        assert code == (130 if count[0] > at else wanted)
        again = run_quietly("run", self.folder, "--once")[0]
        assert again in (0, wanted)
        assert run_quietly("run", self.folder, "--once")[0] == 0

    @rule(n=st.none() | st.integers(0, 4))
    def promote(self, n: int | None) -> None:
        stages = [v["stage"] for v in self.versions]
        if n is None:
            first = [stages.index(s) for s in ("canary", "candidate") if s in stages]
            n, given = (first[0] if first else 99), []
        else:
            given = [f"v{n}"]
        version = self.versions[n] if n < len(self.versions) else {"stage": ""}
        can = version["stage"] in ("candidate", "canary") and version["policy"] == self.policy
        lost = can and set(self.versions[self.lives[-1]]["forgets"]) - set(version["forgets"])
        can = can and not lost
        if can and version["stage"] == "canary":
            fit = ("verified", "rolled_back", "live")
            can = all(self.filed[r]["state"] in fit for r in version["forgets"])
        self.says(0 if can else 2, "promote", *given)
        if can and version["stage"] == "candidate":
            for other in self.versions:
                if other["stage"] == "canary":
                    other["stage"] = "retired"
            version["stage"] = "canary"
        elif can:
            self.versions[self.lives[-1]]["stage"] = "retired"
            version["stage"] = "live"
            self.lives.append(n)
            for r in version["forgets"]:
                self.filed[r]["state"] = "live"

    @rule()
    def rollback(self) -> None:
        can = len(self.lives) > 1
        self.says(0 if can else 2, "rollback", "--why", "a reason")
        if can:
            left, back = self.versions[self.lives.pop()], self.versions[self.lives[-1]]
            left["stage"], back["stage"] = "rolled_back", "live"
            for r in set(left["forgets"]) - set(back["forgets"]):
                self.filed[r]["state"] = "rolled_back"

    @rule(what=st.sampled_from(["list", "log", "page"]))
    def read(self, what: str) -> None:
        self.says(0, what)

    @invariant()
    def agrees(self) -> None:
        """The log that another process reads says what the model says."""
        found = Registry(self.folder)
        assert [r.state for r in found.book.requests.values()] == [r["state"] for r in self.filed]
        assert [v.stage for v in found.book.versions.values()] == [
            v["stage"] for v in self.versions
        ]
        served = read_json(self.folder / "aliases.json")["live"]["version"]
        assert served == f"v{self.lives[-1]}"


def test_any_commands_in_any_order_agree_with_a_small_model(registry: Path) -> None:
    WholeCommands.new = registry
    run_state_machine_as_test(
        WholeCommands,
        settings=example_settings(max_examples=12, stateful_step_count=25, deadline=None),
    )
