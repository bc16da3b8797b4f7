"""Methods: one interface, options checked at the door."""

from __future__ import annotations

import dataclasses

import pytest
from support_methods import both, features

from erasekit.errors import UsageError
from erasekit.unlearn.method import KINDS, Method
from erasekit.unlearn.methods.kl_minimization import KLMinimization
from erasekit.unlearn.methods.multidelete import MultiDelete
from erasekit.unlearn.methods.scrub import SCRUB
from erasekit.unlearn.registry import METHODS, get_method, methods_of


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_is(name: str) -> None:
    method = get_method(name)
    assert method.name == name
    assert method.summary and method.source
    assert set(method.option_types()) == set(method.defaults())
    assert method.build({}) == method.build(method.defaults())
    assert method.kinds and set(method.kinds) <= set(KINDS)
    for kind in method.kinds:
        assert method.build({}, kind) == method.build(method.defaults(kind), kind)


def test_a_default_may_differ_by_kind_of_model() -> None:
    npo = get_method("npo")
    assert npo.build({}, "clip") == npo.build({"beta": 0.5})
    assert npo.build({}, "language") == npo.build({"beta": 0.1})
    assert npo.build({"beta": 2}, "language") == npo.build({"beta": 2})


def test_a_method_is_refused_for_a_kind_that_it_is_not_made_for() -> None:
    with pytest.raises(UsageError, match="munba is made for a CLIP, not for a multimodal lang"):
        get_method("munba").build({}, "language")
    assert "mmunlearner" not in methods_of("clip") and "munba" in methods_of("clip")
    assert list(methods_of("language")) == [
        *("fine_tune", "gradient_ascent", "gradient_difference", "kl_minimization"),
        *("mmunlearner", "npo"),
    ]


def test_the_papers_weights_are_the_defaults() -> None:
    defaults = get_method("cliperase").defaults()
    assert (defaults["retention"], defaults["forgetting"], defaults["consistency"]) == (1, 3, 3)


def test_options_come_as_text_too() -> None:
    method = get_method("cliperase").build({"forgetting": "2.5", "scaled": "True"})
    assert method == get_method("cliperase").build({"forgetting": 2.5, "scaled": True})
    assert get_method("cliperase").build({"scaled": "false"}) == get_method("cliperase").build({})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forgeting": 1}, "unknown option of cliperase 'forgeting': did you mean 'forgetting'"),
        ({"forgetting": -1}, "forgetting = -1 must be 0 or more"),
        ({"forgetting": float("nan")}, "forgetting = nan must be a number"),
        ({"forgetting": float("inf")}, "forgetting = inf must be a number, and finite"),
        ({"forgetting": "much"}, "forgetting = 'much' must be a number"),
        ({"forgetting": True}, "forgetting = True must be a number"),
        ({"forgetting": None}, "forgetting = None must be a number"),
        ({"scaled": 1}, "scaled = 1 must be true or false"),
        ({"scaled": "perhaps"}, "scaled = 'perhaps' must be true or false"),
        ({"product": "euclid"}, "product = 'euclid' must be one of cosine, dot"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_method("cliperase").build(options)


def test_an_unknown_method_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown method 'clip_erase': did you mean 'cliperase'"):
        get_method("clip_erase")


def test_the_base_has_no_loss_of_its_own() -> None:
    with pytest.raises(NotImplementedError):
        Method().loss(None, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("salun", {"share": 0}, r"salun: share = 0\.0 must be above 0, and at most 1"),
        ("salun", {"share": 1.5}, r"salun: share = 1\.5 must be above 0, and at most 1"),
        ("lip", {"noise": 0}, "lip: noise = 0 must be above 0"),
        ("null_space", {"strength": 2}, r"null_space: strength = 2\.0 must be at most 1"),
        ("null_space", {"towers": "video"}, "must be one of image, text, both"),
        ("slug", {"halvings": 2.5}, "halvings = 2.5 must be a whole number"),
    ],
)
def test_an_option_out_of_range_is_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_method(name).build(options)


WEIGHTS = {
    "cliperase_infonce": ("forgetting", "retention", "consistency"),
    "gradient_difference": ("forgetting", "retention"),
    "kl_minimization": ("forgetting", "retention"),
    "npo": ("forgetting", "retention"),
    "random_label": ("forgetting", "retention"),
    "scrub": ("forgetting", "alpha", "gamma"),
    "multidelete": ("forgetting", "retention", "consistency"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_of_zero_leaves_its_term_out(name: str) -> None:
    forget, retain = both(4, 3, 1)
    for weight in WEIGHTS[name]:
        whole = get_method(name).build({}).loss(forget, retain, None)
        without = get_method(name).build({weight: 0}).loss(forget, retain, None)
        assert len(without) == len(whole) - 1
        assert {k: float(v.detach()) for k, v in without.items()}.items() <= {
            k: float(v.detach()) for k, v in whole.items()
        }.items()


@pytest.mark.parametrize(
    "method",
    [KLMinimization(forgetting=0), MultiDelete(forgetting=0), SCRUB(forgetting=0, gamma=0)],
    ids=lambda method: method.name,
)
def test_what_only_keeps_asks_nothing_of_a_model_that_has_not_moved(method) -> None:
    forget, retain = features(4, 3, 1, moved=False), features(5, 3, 9, moved=False)
    still = dataclasses.replace(retain, scale=retain.original_scale)
    terms = method.loss(dataclasses.replace(forget, scale=forget.original_scale), still, None)
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert all(float(v.detach()) == pytest.approx(0, abs=1e-12) for v in terms.values())
    assert retain.image.grad.abs().max() < 1e-9  # type: ignore[union-attr]
