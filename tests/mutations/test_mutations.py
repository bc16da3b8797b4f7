"""The list of mutations fits the tree: quick, so that it cannot rot unseen."""

from __future__ import annotations

import ast
from collections import Counter

import pytest
from run_mutations import ROOT, Mutation, read_mutations

MUTATIONS = read_mutations()


def test_the_list_is_long_and_its_names_differ() -> None:
    assert len(MUTATIONS) >= 85
    assert max(Counter(mutation.name for mutation in MUTATIONS).values()) == 1


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_one_place_into_code_that_differs(mutation: Mutation) -> None:
    source = (ROOT / mutation.file).read_text(encoding="utf-8")
    changed = ast.parse(mutation.applied(source))
    assert ast.dump(changed) != ast.dump(ast.parse(source))
    assert mutation.tests
    for test in mutation.tests.split():
        assert (ROOT / test).is_file(), test
