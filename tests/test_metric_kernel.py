"""The smooth candidates of automatic mixtures: metric, penalty, and what must not matter."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from sklearn_moe import AutoMixtureClassifier, AutoMixtureRegressor, EvidenceRidge
from sklearn_moe.auto import _metric
from sklearn_moe.auto._metric import Coordinates, MetricKernelRegressor
from sklearn_moe.auto._metric_classifier import VARIANCES, MetricKernelClassifier

rng = np.random.default_rng(0)
X = rng.normal(size=(240, 5))
DIRECTION = np.array([0.8, -0.6, 0.0, 0.0, 0.0])
Y = np.sin(2.0 * X @ DIRECTION) + 0.05 * rng.normal(size=240)
NEW = rng.normal(size=(400, 5))
TRUTH = np.sin(2.0 * NEW @ DIRECTION)
WEIGHT = rng.integers(1, 4, size=240)


def error(model, y=Y):
    return np.sqrt(np.mean((model.fit(X, y).predict(NEW) - TRUTH) ** 2))


@pytest.mark.parametrize("kind", [MetricKernelRegressor, MetricKernelClassifier])
def test_rows_of_no_weight_are_not_seen(kind):
    weight, y = WEIGHT.astype(float), Y if kind is MetricKernelRegressor else Y > 0
    weight[::3] = 0.0
    seen = weight > 0
    ask = "predict" if kind is MetricKernelRegressor else "predict_proba"
    whole, part = kind().fit(X, y, weight), kind().fit(X[seen], y[seen], weight[seen])
    np.testing.assert_allclose(getattr(whole, ask)(NEW), getattr(part, ask)(NEW), rtol=1e-9)


def test_directions_along_which_nothing_changes_lose_their_say():
    learnt = MetricKernelRegressor()
    assert error(learnt) < 0.5 * error(MetricKernelRegressor(n_rounds=0)) < 0.3
    root = learnt.function_.coordinates.root
    (values, vectors) = np.linalg.eigh(root @ root.T)
    assert abs(vectors[:, -1] @ DIRECTION) > 0.99
    assert values[-2] < 0.05 * values[-1]


def test_a_metric_that_is_less_probable_is_not_kept():
    """Of noise alone slopes tell nothing, or what is not so."""
    noise = np.random.default_rng(1).normal(size=240)
    kept, first = MetricKernelRegressor(), MetricKernelRegressor(n_rounds=0)
    kept.fit(X, noise), first.fit(X, noise)
    assert kept.function_.log_evidence >= first.function_.log_evidence
    assert kept.predict(NEW).std() < 0.3


def test_slopes_are_those_of_the_function():
    model = MetricKernelRegressor().fit(X, np.column_stack([Y, X[:, 2] ** 2]))
    function, step = model.function_, 1e-5
    root = function.coordinates.root
    slopes = np.stack(list(function._slopes(NEW[:5] @ root)), axis=1)
    for k, along in enumerate(np.linalg.pinv(root)):  # one step along a column under the metric
        risen = function(NEW[:5] + step * along) - function(NEW[:5] - step * along)
        moved = (step * along) @ root / step
        assert np.allclose(risen / (2 * step), slopes @ moved, atol=1e-4), k


def test_the_penalty_is_that_of_evidence_ridge_on_the_same_columns():
    model = MetricKernelRegressor(n_landmarks=30)
    function = model.fit(X, Y, WEIGHT).function_
    columns = [function.coordinates(rows @ function.coordinates.root) for rows in (X, NEW)]
    ridge = EvidenceRidge().fit(columns[0], Y, WEIGHT)
    assert np.allclose(ridge.predict(columns[1]), model.predict(NEW), atol=1e-7)


def test_weights_are_repeats_and_the_order_of_rows_does_not_matter():
    weighted = MetricKernelRegressor().fit(X, Y, WEIGHT)
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(240), WEIGHT))
    repeated = MetricKernelRegressor().fit(X[rows], Y[rows])
    assert np.allclose(weighted.predict(NEW), repeated.predict(NEW), atol=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1e6])
def test_units_of_the_target_do_not_matter(unit):
    own, other = MetricKernelRegressor(), MetricKernelRegressor()
    own.fit(X, Y), other.fit(X, unit * Y + 3 * unit)
    assert np.allclose(other.predict(NEW) / unit - 3, own.predict(NEW), atol=1e-6)


def test_outputs_count_alike_whatever_their_units():
    both = np.column_stack([Y, X[:, 2] ** 2])
    own = MetricKernelRegressor().fit(X, both)
    other = MetricKernelRegressor().fit(X, both * [1.0, 1e4])
    assert own.predict(NEW).shape == (400, 2)
    assert np.allclose(other.predict(NEW) / [1.0, 1e4], own.predict(NEW), atol=1e-5)


def test_metric_and_width_are_learnt_from_few_rows_and_the_rest_from_all(monkeypatch):
    monkeypatch.setattr(_metric, "MOST_ROWS", 60)
    small = MetricKernelRegressor(n_landmarks=50)
    assert error(small) < 0.2 * TRUTH.std()
    root = small.function_.coordinates.root
    columns = [small.function_.coordinates(rows @ root) for rows in (X, NEW)]
    assert np.allclose(
        EvidenceRidge().fit(columns[0], Y).predict(columns[1]), small.predict(NEW), atol=1e-7
    )


def test_of_many_columns_each_has_a_say_of_its_own(monkeypatch):
    monkeypatch.setattr(_metric, "MOST_DIRECTIONS", 4)
    model = MetricKernelRegressor()
    assert error(model) < error(MetricKernelRegressor(n_rounds=0))
    root = model.function_.coordinates.root
    assert np.array_equal(root, np.diag(root.diagonal()))


@pytest.mark.parametrize(
    ("rows", "y"),
    [
        (X[:1], Y[:1]),
        (X[:2], Y[:2]),
        (np.zeros((20, 2)), Y[:20]),
        (X, np.full(240, 7.0)),
        (X[:, :1], Y),
        (np.repeat(X[:3], 9, axis=0), np.repeat(Y[:3], 9)),
    ],
)
def test_tables_that_tell_little(rows, y):
    predicted = clone(MetricKernelRegressor()).fit(rows, y).predict(rows)
    assert predicted.shape == y.shape
    assert np.abs(predicted - y.mean()).max() <= np.ptp(y) + 1e-9


def test_what_was_constant_while_it_learnt_may_change():
    model = MetricKernelRegressor().fit(np.zeros((20, 2)), Y[:20])
    assert np.allclose(model.predict([[0.0, 0.0], [0.0, 1.0]]), Y[:20].mean())


def test_distances_are_those_of_the_matern_kernel():
    apart = Coordinates(np.eye(5), X[:7], 0.5).distance(NEW[:3])
    direct = np.linalg.norm(NEW[:3, None] - X[:7], axis=2)
    assert np.allclose(apart, np.sqrt(5) * direct / 0.5)


def test_an_automatic_mixture_takes_it_where_a_table_is_smooth():
    auto = AutoMixtureRegressor(["linear", "stacked"], random_state=0).fit(X, Y)
    assert auto.best_name_ == "stacked"
    assert np.sqrt(np.mean((auto.predict(NEW) - TRUTH) ** 2)) < 0.2
    assert np.isfinite(auto.log_prob(NEW, TRUTH)).all()


# Labels.

LABELS = np.where(np.abs(X @ DIRECTION) < 0.6, "middle", np.where(X @ DIRECTION > 0, "up", "down"))
OF_NEW = np.where(
    np.abs(NEW @ DIRECTION) < 0.6, "middle", np.where(NEW @ DIRECTION > 0, "up", "down")
)


def loss(model):
    fitted = model.fit(X, LABELS)
    return log_loss(OF_NEW, fitted.predict_proba(NEW), labels=fitted.classes_)


def test_labels_find_their_directions_too():
    learnt = MetricKernelClassifier()
    assert loss(learnt) < 0.7 * loss(MetricKernelClassifier(n_rounds=0))
    assert np.mean(learnt.predict(NEW) == OF_NEW) > 0.9
    root = learnt.coordinates_.root
    assert abs(np.linalg.eigh(root @ root.T)[1][:, -1] @ DIRECTION) > 0.99


def test_the_variance_is_one_that_suits_labels():
    """Too sure or too vague, others do worse on new rows; of chance none is sure."""
    learnt = MetricKernelClassifier()
    own, losses = loss(learnt), []
    columns = [
        learnt.coordinates_(rows @ learnt.coordinates_.root) - learnt.coordinates_.middle
        for rows in (X, NEW)
    ]
    for variance in VARIANCES:
        model = LogisticRegression(C=variance, max_iter=1000).fit(columns[0], LABELS)
        losses.append(log_loss(OF_NEW, model.predict_proba(columns[1]), labels=model.classes_))
    assert own < min(losses) + 0.02
    assert max(losses) > own + 0.1
    chance = np.random.default_rng(3).integers(0, 2, size=240)
    assert MetricKernelClassifier().fit(X, chance).model_.C <= 1.0


def test_weights_of_labels_are_repeats():
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(240), WEIGHT))
    weighted = MetricKernelClassifier().fit(X, LABELS, WEIGHT)
    repeated = MetricKernelClassifier().fit(X[rows], LABELS[rows])
    assert weighted.model_.C == repeated.model_.C
    assert np.allclose(weighted.predict_proba(NEW), repeated.predict_proba(NEW), atol=1e-3)


@pytest.mark.parametrize("n_classes", [1, 2])
def test_few_classes(n_classes):
    labels = np.where((X[:, 0] > 0) & (n_classes > 1), "yes", "no")
    model = MetricKernelClassifier().fit(X, labels)
    proba = model.predict_proba(NEW)
    assert proba.shape == (400, n_classes)
    assert np.allclose(proba.sum(axis=1), 1.0)
    assert np.mean(model.predict(NEW) == np.where(NEW[:, 0] > 0, model.classes_[-1], "no")) > 0.9


def test_of_few_rows_that_tell_the_variance_no_class_is_missing(monkeypatch):
    monkeypatch.setattr(_metric, "MOST_ROWS", 50)
    rare = LABELS.astype(object)
    rare[:3] = "another"
    model = MetricKernelClassifier().fit(X, rare)
    assert model.predict_proba(NEW).shape == (400, 4)
    whole = LogisticRegression(C=model.model_.C, tol=1e-8, max_iter=1000)
    columns = [model._columns(rows) for rows in (X, NEW)]
    expected = whole.fit(columns[0], rare.astype(str)).predict_proba(columns[1])
    assert np.allclose(model.predict_proba(NEW), expected, atol=1e-4)


def test_an_automatic_mixture_takes_it_for_labels():
    auto = AutoMixtureClassifier(["forest", "metric"], random_state=0).fit(X, LABELS)
    assert auto.best_name_ == "metric"
    assert log_loss(OF_NEW, auto.predict_proba(NEW), labels=auto.classes_) < 0.3


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_that_are_fewer_than_columns_tell_the_same(monkeypatch, weighted):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 30))
    y = np.column_stack([np.sin(rows[:, 0]), rows[:, 1] ** 2]) + rng.normal(size=(60, 2))
    weight = rng.uniform(0.5, 1.0, 60) if weighted else np.ones(60)
    parts = Coordinates(np.eye(30), rows[:40], 3.0), rows, y, weight
    assert len(parts[0].middle) > len(rows)
    few = _metric.SmoothFunction.fitted(*parts)
    monkeypatch.setattr(_metric, "_spectrum_of_few", _metric._spectrum)
    many = _metric.SmoothFunction.fitted(*parts)
    assert few.log_evidence == pytest.approx(many.log_evidence, rel=1e-6)
    new = rng.normal(size=(20, 30))
    np.testing.assert_allclose(few(new), many(new), atol=1e-6)


def test_a_metric_of_columns_is_the_diagonal_of_that_of_directions(monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 5))
    parts = rows, np.sin(rows[:, :2]), np.ones(60)
    function = _metric.SmoothFunction.fitted(Coordinates(np.eye(5) / 3, rows[:20] / 3, 1.0), *parts)
    root = function.learnt_root(*parts)
    monkeypatch.setattr(_metric, "MOST_DIRECTIONS", 3)
    of_columns = function.learnt_root(*parts)
    np.testing.assert_allclose(of_columns**2, np.diag((root @ root.T).diagonal()), atol=1e-12)
