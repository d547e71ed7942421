"""Reported cases whose kinds other suites show: each as it was reported."""

from __future__ import annotations

import pytest
from both import same
from sides import CASES

import meld

pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")


def test_a_component_of_another_type_is_refused() -> None:
    with pytest.raises(meld.MeldError, match="an argument does not fit what the component imports: import `plug`"):
        meld.compile([CASES / "component-import-honest.wat", CASES / "component-import-hostile.wat"])


def test_a_destructor_that_leads_back() -> None:
    (answer,) = same(meld.print_text(meld.load(CASES / "async_dtor.wat")), ("run",))
    assert isinstance(answer, int)
