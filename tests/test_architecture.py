"""The house: imports go down, doors stay few, functions and files stay short.

The floors are those of the table in `docs/design.md`, so that page cannot differ from the code. The
tests read the source and import nothing of the package.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sklearn_moe"
FILES = sorted(PACKAGE.rglob("*.py"))
DESIGN = ROOT / "docs" / "design.md"

MEDIAN_LINES, P90_LINES, MOST_LINES = 7, 25, 50
MOST_FILE_LINES = 400
MOST_NAMES = 10
OPTIONAL = ("matplotlib", "pandas", "polars", "dask", "ray", "skpro")
# Files that are imported only once an optional package is asked for.
BRIDGES = ("predictive._skpro",)


def label(path):
    return str(path.relative_to(PACKAGE))


def module_name(path):
    """Dotted name within the package; the package itself is the empty name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room(name):
    """The top-level part of a module name: a file, or a folder of strategies."""
    return name.split(".")[0] or "__init__"


MODULES = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
IS_FOLDER = {module_name(path): path.name == "__init__.py" for path in FILES}


def absolute(module, node):
    """Dotted name within the package that a from-import starts from, or None if outside."""
    if not node.level:
        inside = (node.module or "").split(".")[0] == "sklearn_moe"
        return (node.module or "")[len("sklearn_moe") :].lstrip(".") if inside else None
    here = module.split(".") if module else []
    up = node.level - IS_FOLDER[module]
    base = here[: len(here) - up] if up else here
    return ".".join([*base, *([node.module] if node.module else [])])


def imports_within(module):
    """Modules of the package that `module` imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            assert not any(a.name.split(".")[0] == "sklearn_moe" for a in node.names), module
        if isinstance(node, ast.ImportFrom) and (base := absolute(module, node)) is not None:
            names = {f"{base}.{a.name}".lstrip(".") for a in node.names}
            submodules = names & set(MODULES)
            found |= submodules or {base}
    return found - {module}


GRAPH = {module: imports_within(module) for module in MODULES}


def floors():
    """Room -> floor, from the rows `| floor | rooms | ... |` of the table in the design page."""
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", DESIGN.read_text(encoding="utf-8"), flags=re.M)
    return {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)`", names)}


def top_level_imports(tree):
    """Names of the foreign modules that are imported when the file is."""
    nodes = list(tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes.extend(ast.iter_child_nodes(node))


def body_lines(function):
    """Lines from the first statement to the end, without those of the docstring."""
    total = function.end_lineno - function.body[0].lineno + 1
    if ast.get_docstring(function) is None:
        return total
    text = function.body[0]
    return total - (text.end_lineno - text.lineno + 1)


FUNCTIONS = {
    f"{module or '__init__'}:{node.name}:{node.lineno}": body_lines(node)
    for module, tree in MODULES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
}


def nearest_rank(values, share):
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


def longest(count=5):
    ordered = sorted(FUNCTIONS.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {lines}" for name, lines in ordered[:count])


# Directions.


def test_every_room_has_a_floor_on_the_plan():
    rooms, planned = {room(module) for module in MODULES}, floors()
    assert rooms == set(planned), f"docs/design.md and sklearn_moe/ differ: {rooms ^ set(planned)}"


def test_imports_go_to_a_lower_floor():
    floor = floors()
    crossing = [(a, b) for a in GRAPH for b in GRAPH[a] if room(a) != room(b)]
    upward = [(a, b) for a, b in crossing if floor[room(a)] <= floor[room(b)]]
    assert len(crossing) > 50
    assert not upward


def test_no_module_reaches_itself():
    def reached(module, seen):
        for other in GRAPH[module] - seen:
            seen.add(other)
            reached(other, seen)
        return seen

    assert not [module for module in MODULES if module in reached(module, set())]


def test_gates_families_and_experts_do_not_know_each_other():
    parts = {"gates", "families", "_experts"}
    known = {(room(a), room(b)) for a in GRAPH for b in GRAPH[a] if room(a) != room(b)}
    assert not [pair for pair in known if set(pair) <= parts]


@pytest.mark.parametrize("folder", ["gates", "families"])
def test_strategies_do_not_know_the_engine_or_the_estimators(folder):
    used = {room(b) for a in GRAPH if room(a) == folder for b in GRAPH[a]}
    assert not used & {"_em", "_mixture", "_base", "_regressor", "_classifier", "starts"}


def test_the_engine_knows_no_statistics():
    assert not GRAPH["_em"]
    assert not [name for name in top_level_imports(MODULES["_em"]) if name.startswith("numpy")]


# Doors.


def is_private(name):
    return any(part.startswith("_") and part != "__future__" for part in name.split("."))


def private_names_of_scikit_learn(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sklearn":
            yield from (
                f"{node.module}.{alias.name}"
                for alias in node.names
                if is_private(node.module) or is_private(alias.name)
            )
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (n for n in names if n.split(".")[0] == "sklearn" and is_private(n))


@pytest.mark.parametrize("module", MODULES)
def test_private_names_of_scikit_learn_are_imported_in_one_file(module):
    found = list(private_names_of_scikit_learn(MODULES[module]))
    assert bool(found) == (module == "_validation"), found


@pytest.mark.parametrize("module", MODULES)
def test_optional_packages_are_not_imported_with_the_package(module):
    found = {name.split(".")[0] for name in top_level_imports(MODULES[module])}
    assert bool(found & set(OPTIONAL)) == (module in BRIDGES)


def test_import_of_the_package_brings_no_optional_one():
    # Without pandas, which scikit-learn itself may import.
    names = set(OPTIONAL) - {"pandas"}
    code = f"import sys, sklearn_moe; print({names!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_face_is_small_and_without_logic():
    (names,) = [
        ast.literal_eval(node.value)
        for node in MODULES[""].body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    ]
    assert len(names) <= MOST_NAMES
    assert names == sorted(names)
    assert not [
        node
        for node in ast.walk(MODULES[""])
        if isinstance(node, ast.stmt) and hasattr(node, "body")
    ]


def test_there_is_no_room_for_everything():
    assert not [module for module in MODULES if re.search(r"util|helper|common|misc", module)]


@pytest.mark.parametrize("module", MODULES)
def test_every_file_says_what_it_is_for(module):
    assert ast.get_docstring(MODULES[module])


# Sizes.


def test_functions_are_short():
    lines = list(FUNCTIONS.values())
    assert nearest_rank(lines, 0.5) <= MEDIAN_LINES, longest()
    assert nearest_rank(lines, 0.9) <= P90_LINES, longest()


def test_no_function_is_long():
    too_long = {name: lines for name, lines in FUNCTIONS.items() if lines > MOST_LINES}
    assert not too_long


@pytest.mark.parametrize("path", FILES, ids=label)
def test_no_file_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_FILE_LINES
