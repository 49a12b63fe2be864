import pytest

from firstspike.report.equations import EQUATIONS, PACKAGE, locate

PLACES = sorted({name for equation in EQUATIONS for name in equation.places})


def test_every_equation_is_there_once():
    assert [equation.number for equation in EQUATIONS] == list(range(1, 18))
    assert all(equation.places for equation in EQUATIONS)


@pytest.mark.parametrize("name", PLACES)
def test_places_are_functions_of_the_code(name):
    place = locate(name)
    lines = (PACKAGE.parent / place.file).read_text(encoding="utf-8").splitlines()
    function = name.rpartition(".")[2]
    head = "\n".join(lines[place.line - 1 : place.line + 2])  # a decorator may come first
    assert f"def {function}(" in head
    assert f"def {function}(" in place.source


@pytest.mark.parametrize(
    "name", ["nowhere.encode", "coding.nothing", "training.gan.Gan.nothing", "x"]
)
def test_a_place_that_is_not_there(name):
    with pytest.raises(ValueError, match=name):
        locate(name)


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda equation: str(equation.number))
def test_formulas_are_mathml(equation):
    assert equation.mathml.startswith("<math") and "\\" not in equation.mathml
