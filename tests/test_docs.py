"""What is written is true: examples run, links lead somewhere, docstrings say what numpydoc asks.

In the pages, a fenced `python` block with `>>>` is a doctest, and all such blocks of a page share
one namespace; other `python` blocks must parse, and leave the names alone that later doctests
read.
"""

import ast
import doctest
import inspect
import re
import runpy
import sys
import warnings
from operator import attrgetter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import sklearn_moe
from sklearn_moe import families, gates, inspection, metrics, predictive

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
GALLERY = sorted((ROOT / "docs" / "examples").glob("*.py"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# What shows callbacks, which scikit-learn has since 1.9.
WITH_CALLBACKS = {"docs/user_guide/em.md", "docs/examples/plot_watching.py"}

# Missing docstrings and summaries; parameters missing, unknown, out of order, untyped, undescribed;
# returns and yields missing or undescribed; sections out of order.
CODES = {
    *("GL07", "GL08", "SS01", "SS03"),
    *("PR01", "PR02", "PR03", "PR04", "PR07", "PR10"),
    *("RT01", "RT03", "YD01"),
}
NO_SHAPE = {"get_params", "set_params", "get_metadata_routing", "fit"}


def relative(path):
    return str(path.relative_to(ROOT))


def skip_without_callbacks(path):
    if relative(path) in WITH_CALLBACKS:
        pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")


# Pages.


def python_blocks(page):
    """Line number and text of each fenced block of Python."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```", text, flags=re.M | re.S):
        yield text[: match.start(1)].count("\n"), match.group(1)


def names_of(code):
    """The names that code binds, and those that it only reads."""
    bound, read = set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
    return bound, read - bound


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_examples_of_pages_do_what_they_say(page):
    skip_without_callbacks(page)
    parser, runner, names = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS), {}
    said, rebound = [], set()
    for line, block in python_blocks(page):
        if ">>>" not in block:
            rebound |= names_of(block)[0]
            continue
        example = parser.get_doctest(block, names, relative(page), str(page), line)
        for bound, read in (names_of(each.source) for each in example.examples):
            assert not rebound & read, f"of the block at line {line}, if all blocks are run"
            rebound -= bound
        runner.run(example, out=said.append, clear_globs=False)
        names.update(example.globs)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_of_pages_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    files = [target for target in targets if "://" not in target]
    assert not [target for target in files if not (page.parent / target).exists()]


def test_every_page_can_be_reached():
    linked, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        linked.add(page)
        targets = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8"))
        found = {(page.parent / target).resolve() for target in targets if "://" not in target}
        waiting.extend(found - linked - set(waiting))
    assert not [relative(page) for page in PAGES if page not in linked]


@pytest.mark.parametrize("script", GALLERY, ids=relative)
def test_gallery_runs(script, tmp_path, monkeypatch):
    """Here, as it would run by itself: to start another process takes longer than some of them."""
    skip_without_callbacks(script)
    picture = tmp_path / "picture.png"
    monkeypatch.setattr(sys, "argv", [str(script), str(picture)])
    monkeypatch.syspath_prepend(script.parent)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runpy.run_path(str(script), run_name="__main__")
    plt.close("all")
    assert picture.stat().st_size > 10_000


def test_pictures_are_small():
    pictures = list((ROOT / "docs").rglob("*.png"))
    assert pictures
    assert not [relative(path) for path in pictures if path.stat().st_size > 150_000]


# Docstrings.


def public_objects():
    """The classes handed out, and the public methods that this package defines for them."""
    for name in [*sklearn_moe.__all__, *(f"inspection.{name}" for name in inspection.__all__)]:
        yield name
        for method, value in inspect.getmembers(attrgetter(name)(sklearn_moe), is_code):
            if not method.startswith("_") and value.__module__.startswith("sklearn_moe"):
                yield f"{name}.{method}"


def is_code(value):
    return inspect.isfunction(value) or inspect.ismethod(value)


PUBLIC = list(public_objects())


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_are_whole(name):
    errors = validate(f"sklearn_moe.{name}")["errors"]
    assert not [f"{code} {text}" for code, text in errors if code in CODES]


@pytest.mark.parametrize(
    "name", [name for name in PUBLIC if is_code(attrgetter(name)(sklearn_moe))]
)
def test_docstrings_tell_shapes(name):
    text = NumpyDocString(inspect.getdoc(attrgetter(name)(sklearn_moe)))
    for parameter in text["Parameters"]:
        if parameter.name in ("X", "y", "sample_weight", "expert_weights"):
            assert "of shape (n_samples" in parameter.type, parameter
    if name.split(".")[-1] not in NO_SHAPE:
        returned = [item for item in text["Returns"] if "array" in item.type]
        assert all("of shape (" in item.type for item in returned)


@pytest.mark.parametrize("name", [n for n in sklearn_moe.__all__ if n.startswith("Mixture")])
def test_fitted_attributes_are_those_documented(name):
    X = np.random.default_rng(0).normal(size=(60, 2))
    mixture = getattr(sklearn_moe, name)(n_init=1, verdict=False, tol=0.1)
    mixture.fit(X, (X[:, 0] > 0).astype(int))
    fitted = {key for key in vars(mixture) if key.endswith("_")}
    documented = {item.name for item in NumpyDocString(inspect.getdoc(mixture))["Attributes"]}
    assert fitted | {"feature_names_in_"} == documented


# The reference.

HANDED_OUT = {
    "Estimators": sklearn_moe,
    "Gates": gates,
    "Noise laws": families,
    "Distributions": predictive,
    "Measures": metrics,
    "Pictures": inspection,
}
ASKED = [
    sklearn_moe.MixtureOfExpertsRegressor,
    sklearn_moe.MixtureOfExpertsClassifier,
    sklearn_moe.AutoMixtureRegressor,
    sklearn_moe.AutoMixtureClassifier,
    predictive.MixtureDistribution,
]


def row_of(name, value):
    """The row of the reference for a class, function or method: its name and summary."""
    return f"| `{name}` | {' '.join(NumpyDocString(inspect.getdoc(value))['Summary'])} |"


def rows_of_module(module):
    """The rows for the classes and functions that a module hands out."""
    values = ((name, getattr(module, name)) for name in module.__all__)
    return [row_of(n, v) for n, v in values if inspect.isclass(v) or inspect.isfunction(v)]


def rows_of_methods(kind):
    """The rows for the methods and properties that this package gives a class."""
    found = inspect.getmembers(kind, lambda v: inspect.isfunction(v) or isinstance(v, property))
    ours = ((n, v) for n, v in found if "sklearn_moe" in getattr(v, "fget", v).__module__)
    return [row_of(n, v) for n, v in ours if not n.startswith(("_", "get_", "set_"))]


def reference():
    """The rows of the page by the title of their section."""
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    sections = (part.split("\n", 1) for part in page.split("\n## ")[1:])
    return {title: re.findall(r"^\| `.*\|$", text, re.M) for title, text in sections}


def test_the_reference_tells_what_docstrings_do():
    expected = {title: rows_of_module(module) for title, module in HANDED_OUT.items()}
    expected |= {f"Asked of `{kind.__name__}`": rows_of_methods(kind) for kind in ASKED}
    assert reference() == expected
