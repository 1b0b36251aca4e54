"""Formulas become MathML, and what has none is refused."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

EXTENSION = Path(__file__).parents[2] / "docs" / "_ext" / "mathml.py"


@pytest.fixture(scope="module")
def to_mathml() -> Callable[[str, str], str]:
    specification = importlib.util.spec_from_file_location("mathml", EXTENSION)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    found: Callable[[str, str], str] = module.to_mathml
    return found


@pytest.mark.parametrize("display", ["inline", "block"])
def test_a_formula_becomes_mathml(to_mathml: Callable[[str, str], str], display: str) -> None:
    assert to_mathml(r"\frac{C}{n_t}", display) == (
        f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="{display}"><mrow><mfrac><mrow>'
        "<mi>C</mi></mrow><mrow><msub><mi>n</mi><mi>t</mi></msub></mrow></mfrac></mrow></math>"
    )


@pytest.mark.parametrize("latex", [r"\foo x", r"\begin{aligned} a &= b \end{aligned}"])
def test_a_formula_without_mathml_is_refused(
    to_mathml: Callable[[str, str], str], latex: str
) -> None:
    with pytest.raises(ValueError, match="expected LaTeX that is known as MathML, got"):
        to_mathml(latex, "inline")
