"""Information criteria: published values, closed forms, counts by hand, and what is refused.

The published values are those of the flexmix vignettes, the README of MEteorits and the mixtools
vignette. Log-likelihoods must be ours up to what the other program leaves on the table: flexmix
stops when an iteration changes the log-likelihood by less than a millionth of it, and inflates
Gaussian variances by n / (n - p), p being the number of an expert's coefficients.
"""

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import (
    ConstantGate,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SoftmaxGate,
)
from sklearn_moe._information import count_estimator
from sklearn_moe.families import Gamma, Gaussian, StudentT, _real
from sklearn_moe.gates import GaussianGate, HierarchicalGate, MLPGate, TreeGate

OLS = LinearRegression()
LOGIT = LogisticRegression(solver="newton-cholesky")
POISSON = PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-8)
FREE = SoftmaxGate(alpha=0)
CURVES = make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), OLS)


def seeing(column, last):
    """The estimator or gate, behind a choice of one column."""
    return make_pipeline(ColumnTransformer([("seen", "passthrough", [column])]), last)


# Published.

PATENT = {"experts": seeing(0, POISSON), "gate": seeing(1, FREE), "family": "poisson"}
COUNTS = {"experts": POISSON, "gate": ConstantGate(), "family": "poisson"}
HUMPS = {"experts": DummyRegressor(), "gate": ConstantGate(), "family": Gaussian(shared=True)}


def inflation(n, p):
    """Twice what the variances of flexmix cost when nothing else moves (see test_reference)."""
    factor = n / (n - p)
    return n * (np.log(factor) + 1 / factor - 1)


# Files, target and features; the mixture; log-likelihood and how far ours may be above it; number
# of parameters; AIC and BIC, where published.
PUBLISHED = {
    "flexmix npreg": (
        (["npreg"], "target", ["x"]),
        {"experts": CURVES, "gate": ConstantGate(), "n_experts": 2},
        (-642.545, inflation(200, 3), 9, 1303.09, 1332.78),
    ),
    "flexmix npreg counts": (
        (["npreg", "npreg.truth"], "yp", ["x"]),
        {**COUNTS, "n_experts": 2},
        (-440.642, 440 * 5e-6, 5, 891.28, 907.78),
    ),
    "flexmix patent": (
        (["patent"], "target", ["lgRD", "RDS"]),
        {**PATENT, "n_experts": 3, "n_init": 8},
        (-197.6753, 197 * 5e-6, 10, 415.35, 437.84),
    ),
    "mixtools co2_gnp": (
        (["co2_gnp"], "target", ["GNP"]),
        {"experts": OLS, "gate": ConstantGate(), "n_experts": 2},
        (-66.93977, 1e-5, 7, None, None),
    ),
    "mixtools faithful": (
        (["faithful"], "target", ["eruptions"]),
        {**HUMPS, "n_experts": 2},
        (-1034.002, 1e-3, 4, None, None),
    ),
}


def read(folder, names):
    """The columns of stored tables of the same rows."""
    paths = [folder / "regression" / f"{name}.csv.gz" for name in names]
    tables = [np.genfromtxt(path, delimiter=",", names=True) for path in paths]
    return {column: table[column] for table in tables for column in table.dtype.names}


def in_sample(X, y, **params):
    """Maximum likelihood by textbook EM, to full precision."""
    settings = {"cv": None, "tol": 1e-10, "max_iter": 3000, "min_responsibility": 0.0}
    mixture = MixtureOfExpertsRegressor(random_state=0, **settings).set_params(**params)
    return mixture.fit(X, y)


@pytest.mark.parametrize("name", PUBLISHED)
def test_criteria_are_the_published_ones(name, data_folder, monkeypatch):
    # An expert of the patents says 0.0007 of them: less than our smallest mean, which costs 0.03.
    monkeypatch.setattr(_real, "LEAST_MEAN", 1e-9)
    (files, target, features), params, (log_likelihood, above, df, aic, bic) = PUBLISHED[name]
    columns = read(data_folder, files)
    X, y = np.column_stack([columns[feature] for feature in features]), columns[target]
    found = in_sample(X, y, **params).information_criteria(X, y)
    assert found.n_parameters == df
    last_digit = 10.0 ** -len(str(log_likelihood).split(".")[1])
    assert -last_digit < found.log_likelihood - log_likelihood <= above + last_digit
    for ours, theirs in ((found.aic, aic), (found.bic, bic)):
        if theirs is not None:
            assert -2 * above - 0.01 < ours - theirs < 0.01


def test_a_parameter_that_is_set_later_counts_nothing():
    X = np.random.default_rng(0).normal(size=(80, 2))
    labels = (X[:, 0] * X[:, 1] > 0).astype(int)
    mixture = MixtureOfExpertsClassifier(n_init=1, verdict=False, random_state=0).fit(X, labels)
    before = mixture.information_criteria(X, labels)
    assert mixture.set_params(cv=None).information_criteria(X, labels) == before


def test_temperatures_have_at_least_the_published_likelihood(data_folder):
    # MEteorits stops earlier, at the same variances.
    columns = read(data_folder, ["tempanomalies"])
    X, y = columns["year"][:, None], columns["target"]
    mixture = in_sample(X, y, experts=OLS, n_experts=2, gate=FREE)
    found = mixture.information_criteria(X, y)
    assert found.n_parameters == 8
    assert found.log_likelihood >= 102.722
    np.testing.assert_allclose(sorted(mixture.dispersions_), [0.01193, 0.01352], rtol=1e-3)


def test_motorcycles_have_at_least_the_published_likelihood(data_folder):
    # From the hard split that MEteorits ends with, t noise and parabolas in time climb higher.
    columns = read(data_folder, ["mcycle"])
    X, y = columns["time_ms"][:, None], columns["target"]
    labels = np.empty(len(y), dtype=int)
    labels[np.argsort(X[:, 0], kind="stable")] = np.repeat(range(4), [28, 37, 31, 37])
    start = 0.99 * np.eye(4)[labels] + 0.0025
    settings = {"experts": CURVES, "gate": FREE, "n_experts": 4, "family": "student_t"}
    mixture = in_sample(X, y, init=start, **settings)
    found = mixture.information_criteria(X, y)
    assert found.n_parameters == 26
    assert found.log_likelihood >= -551.414
    assert mixture.dispersions_.min() > 0.5  # no expert has shut itself in with a few rows


# Closed forms.


def table(n_samples=300):
    """Two columns, and targets of two regimes in several forms."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 2))
    y = np.where(X[:, 0] > 0, 3.0, -3.0) * X[:, 1] + 0.5 * rng.normal(size=n_samples)
    targets = {"real": y, "positive": np.exp(y / 4), "count": rng.poisson(np.exp(y / 4))}
    targets["two"] = np.column_stack([y, X[:, 0] + rng.normal(size=n_samples)])
    targets["amount"] = np.where(y > -1, targets["positive"], 0.0)
    targets["labels"] = np.digitize(y + rng.normal(size=n_samples), [-1, 1])
    targets["binary"] = (targets["labels"] > 1).astype(int)
    return X, targets


def quick(target="real", **params):
    """A mixture after a few iterations in sample, with its table."""
    X, targets = table()
    y = targets[target]
    is_regression = target not in ("labels", "binary")
    kind = MixtureOfExpertsRegressor if is_regression else MixtureOfExpertsClassifier
    settings = {"cv": None, "init": "random", "n_init": 1, "tol": 1e3, "random_state": 0}
    return kind(**{**settings, **params}).fit(X, y), X, y


def test_one_line_has_the_criteria_of_least_squares():
    mixture, X, y = quick(experts=OLS, n_experts=1)
    residual = y - OLS.fit(X, y).predict(X)
    log_likelihood = norm.logpdf(residual, scale=residual.std()).sum()
    residual_sum = (residual**2).sum()
    found = mixture.information_criteria(X, y)
    assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-12)
    assert found.n_parameters == 4
    textbook = 300 * (np.log(2 * np.pi * residual_sum / 300) + 1)
    assert found.aic == pytest.approx(textbook + 4 * 2, rel=1e-12)
    assert found.bic == pytest.approx(textbook + 4 * np.log(300), rel=1e-12)
    assert found.icl == found.bic


@pytest.mark.parametrize(("target", "n_parameters"), [("binary", 3), ("labels", 6)])
def test_one_classifier_has_the_criteria_of_logistic_regression(target, n_parameters):
    free = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    mixture, X, y = quick(target, experts=free, n_experts=1)
    proba = free.fit(X, y).predict_proba(X)
    share = mixture.dispersions_[0]  # fixed in sample, at next to nothing
    assert share < 1e-4
    given = (1 - share) * proba[np.arange(len(y)), y] + share * mixture.class_prior_[y]
    expected = -2 * np.log(given).sum() + n_parameters * np.log(len(y))
    assert mixture.information_criteria(X, y).bic == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("shared", "covariance_type"), [(False, "full"), (True, "tied")])
def test_constants_have_the_criteria_of_a_gaussian_mixture(shared, covariance_type):
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(0, 1, size=150), rng.normal(5, 1.5, size=100)])
    X = y[:, None]
    params = {**HUMPS, "family": Gaussian(shared=shared), "n_experts": 2, "tol": 1e-12}
    ours = in_sample(X, y, **params).information_criteria(X, y)
    theirs = GaussianMixture(2, covariance_type=covariance_type, reg_covar=0, tol=1e-12)
    theirs.set_params(max_iter=3000, random_state=0).fit(X)
    assert ours.bic == pytest.approx(theirs.bic(X), abs=1e-6)
    assert ours.aic == pytest.approx(theirs.aic(X), abs=1e-6)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_gaussian_gate_counts_as_a_gaussian_mixture_does(covariance_type):
    X, _ = table()
    X = np.column_stack([X, X[:, 0] ** 2, np.ones(len(X))])  # the last says nothing
    gate = GaussianGate(covariance_type).fit(X, np.full((len(X), 3), 1 / 3))
    theirs = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X[:, :3])
    cost = theirs.aic(X[:, :3]) + 2 * theirs.score(X[:, :3]) * len(X)
    assert 2 * gate.count_parameters() == pytest.approx(cost)


# Laws.


@pytest.fixture(scope="module")
def fitted():
    return quick(experts=OLS, n_experts=3)


def test_criteria_are_those_of_their_definition(fitted):
    mixture, X, y = fitted
    weight = np.random.default_rng(1).uniform(0.5, 2.0, size=len(y))
    found = mixture.information_criteria(X, y, weight)
    resp = mixture.responsibilities(X, y)
    entropy = -(resp * np.log(np.maximum(resp, 1e-300))).sum(axis=1)
    assert found.log_likelihood == pytest.approx((weight * mixture.log_prob(X, y)).sum())
    assert found.n_samples == pytest.approx(weight.sum())
    assert found.aic == pytest.approx(2 * found.n_parameters - 2 * found.log_likelihood)
    cost = found.n_parameters * np.log(weight.sum())
    assert found.bic == pytest.approx(cost - 2 * found.log_likelihood)
    assert found.icl == pytest.approx(found.bic + 2 * (weight * entropy).sum())
    assert found.icl > found.bic + 1


def test_weights_are_repeats(fitted):
    mixture, X, y = fitted
    weight = np.random.default_rng(2).integers(0, 4, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    weighted = dataclasses.astuple(mixture.information_criteria(X, y, weight))
    repeated = dataclasses.astuple(mixture.information_criteria(X[rows], y[rows]))
    assert weighted == pytest.approx(repeated, rel=1e-12)


def test_criteria_cannot_be_changed(fitted):
    mixture, X, y = fitted
    with pytest.raises(dataclasses.FrozenInstanceError):
        mixture.information_criteria(X, y).bic = 0.0


def test_fewer_acting_experts_have_as_many_parameters(fitted):
    mixture, X, y = fitted
    few, all_act = (m.information_criteria(X, y) for m in (mixture.with_top_k(1), mixture))
    assert few.n_parameters == all_act.n_parameters
    assert few.icl == few.bic  # one expert acts, so there is no doubt which
    assert few.log_likelihood != all_act.log_likelihood


def test_one_expert_that_the_verdict_keeps_has_no_gate():
    noise = np.random.default_rng(5)
    X, y = noise.normal(size=(60, 8)), noise.normal(size=60)
    mixture = MixtureOfExpertsRegressor(OLS, gate=HierarchicalGate([1, 1]), random_state=0)
    with pytest.warns(UserWarning, match="n_experts_=1"):
        mixture.fit(X, y)
    assert mixture.information_criteria(X, y).n_parameters == 8 + 1 + 1


def test_criteria_choose_the_number_of_regimes():
    bics = {}
    for n_experts in (1, 2, 3):
        mixture, X, y = quick(experts=OLS, n_experts=n_experts, init="auto", n_init=4, tol=1e-5)
        bics[n_experts] = mixture.information_criteria(X, y).bic
    assert min(bics, key=bics.get) == 2


# Counts by hand. Two columns, so a line has three parameters, and a gate of two experts as well.

ZERO = DummyRegressor(strategy="constant", constant=0)
TREE = HierarchicalGate([2, 1], within=ConstantGate())
COUNTED = {
    "meteorits: tempanomalies": ("real", {"experts": seeing(0, OLS), "gate": seeing(0, FREE)}, 8),
    "meteorits: mcycle": (
        "real",
        {
            "experts": seeing(0, CURVES),
            "gate": seeing(0, FREE),
            "n_experts": 4,
            "family": "student_t",
        },
        26,
    ),
    "flexmix: npreg": ("real", {"experts": seeing(0, CURVES), "gate": ConstantGate()}, 9),
    "flexmix: patent": ("count", {**PATENT, "n_experts": 3}, 10),
    "no intercept": ("real", {"experts": Ridge(fit_intercept=False)}, 2 * 2 + 2 + 3),
    "two outputs": ("two", {"experts": Ridge()}, 2 * 6 + 4 + 3),
    "one variance": ("two", {"family": Gaussian(shared=True)}, 2 * 6 + 2 + 3),
    "given df": ("real", {"family": StudentT(df=4.0)}, 2 * 3 + 2 + 3),
    "one law of two parameters": ("real", {"family": StudentT(shared=True)}, 2 * 3 + 2 + 3),
    "background": ("real", {"outlier_fraction": 0.05, "family": "student_t"}, 2 * 3 + 4 + 3),
    "laplace": ("real", {"family": "laplace"}, 2 * 3 + 2 + 3),
    "lognormal": ("positive", {"family": "lognormal"}, 2 * 3 + 2 + 3),
    "gamma": ("positive", {"family": "gamma"}, 2 * 3 + 2 + 3),
    "inverse gaussian": ("positive", {"family": "inverse_gaussian"}, 2 * 3 + 2 + 3),
    "tweedie": ("positive", {"family": "tweedie"}, 2 * 3 + 2 + 3),
    "negative binomial": ("count", {"family": "negative_binomial"}, 2 * 3 + 2 + 3),
    "an expert for zeros": (
        "amount",
        {"experts": [("zero", ZERO), ("line", Ridge())], "family": "gamma"},
        3 + 1 + 3,
    ),
    "means": ("two", {"experts": DummyRegressor()}, 2 * 2 + 4 + 3),
    "shared expert": ("real", {"shared_expert": DummyRegressor()}, 2 * 3 + 1 + 3 + 2 * 3 + 2),
    "gate of a column": ("real", {"gate": seeing(0, FREE)}, 2 * 3 + 2 + 2),
    "gaussian gate": ("real", {"gate": GaussianGate()}, 2 * 3 + 2 + 1 + 2 * (2 + 3)),
    "tree of gates": ("real", {"gate": TREE, "n_experts": 3}, 3 * 3 + 3 + 3 + 1),
    "classifier as a gate": ("real", {"gate": LOGIT, "n_experts": 3}, 3 * 3 + 3 + 2 * 3),
    "rates as a gate": ("real", {"gate": DummyClassifier()}, 2 * 3 + 2 + 1),
    "binary": ("binary", {}, 2 * 3 + 3),
    "three classes": ("labels", {}, 2 * 6 + 3),
    "rates": ("labels", {"experts": DummyClassifier()}, 2 * 2 + 3),
    "smoothing": ("labels", {"cv": 2, "verdict": False}, 2 * 6 + 3 + 2),
    "temperatures": (
        "labels",
        {"cv": 2, "verdict": False, "calibrate": "temperature"},
        2 * 6 + 3 + 4,
    ),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", COUNTED)
def test_parameters_are_counted(name):
    target, params, expected = COUNTED[name]
    mixture, X, y = quick(target, **params)
    assert mixture.information_criteria(X, y).n_parameters == expected


def test_degrees_of_freedom_are_those_of_outputs_or_of_experts():
    """Calibrated tails belong to an output, whichever expert acts; estimated ones to an expert."""
    scale, law = np.ones((3, 2)), StudentT()
    for df, expected in [
        ([[4.0, 9.0]] * 3, 6 + 2),
        ([[4.0, 1e6]] * 3, 6 + 1),
        ([[4.0, 9.0], [5.0, 9.5], [6.0, 8.0]], 6 + 6),
        ([[200.0, 200.0]] * 3, 6 + 6),
    ]:
        assert law.count_parameters(np.stack([scale, np.array(df)], axis=-1)) == expected


def test_a_shared_dispersion_counts_once_beside_a_point_mass():
    dispersion = np.array([0.0, 0.5, 0.5]).reshape(3, 1, 1)
    assert Gamma(shared=True).count_parameters(dispersion) == 1


# Refusals.

REFUSED = {
    "DecisionTreeRegressor": {"experts": DecisionTreeRegressor(max_depth=2)},
    "RandomForestRegressor": {
        "experts": make_pipeline(StandardScaler(), RandomForestRegressor(2, random_state=0))
    },
    "KNeighborsRegressor": {"experts": [("line", Ridge()), ("near", KNeighborsRegressor())]},
    "MLPRegressor": {"experts": MLPRegressor(hidden_layer_sizes=2, tol=0.1, random_state=0)},
    "GridSearchCV": {"experts": GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2)},
    "MLPGate": {"gate": MLPGate(2, random_state=0)},
    "TreeGate": {"gate": TreeGate()},
    "GaussianNB": {"gate": GaussianNB()},
    "DecisionTreeClassifier": {
        "gate": HierarchicalGate([1, 1], DecisionTreeClassifier(max_depth=1, random_state=0))
    },
    "RegressorGate": {"gate": Ridge()},
    "DummyRegressor": {"dispersion_estimator": DummyRegressor()},
}
ROLES = {"DummyRegressor": "dispersion_estimator", "KNeighborsRegressor": "expert 'near'"}


@pytest.mark.parametrize("name", REFUSED)
def test_parts_without_a_number_of_parameters_are_named(name):
    mixture, X, y = quick(**REFUSED[name])
    with pytest.raises(ValueError, match=f"(?s){name}.*cannot be counted.*heldout_log_prob_") as it:
        mixture.information_criteria(X, y)
    role = ROLES.get(name, "gate" if "gate" in REFUSED[name] else "expert 'expert0'")
    assert f"of the {role}" in str(it.value)
    assert ("linear and constant parts" in str(it.value)) == (role != "dispersion_estimator")


@pytest.mark.parametrize(
    "classifier", [SVC(kernel="linear"), DummyClassifier(strategy="most_frequent")]
)
def test_classifiers_without_a_number_of_parameters_are_refused(classifier):
    X, targets = table()
    with pytest.raises(ValueError, match=type(classifier).__name__):
        count_estimator(classifier.fit(X, targets["labels"]), "expert")


def test_criteria_are_for_fitted_mixtures():
    X, targets = table()
    with pytest.raises(NotFittedError):
        MixtureOfExpertsRegressor().information_criteria(X, targets["real"])


def test_bad_weights_are_refused(fitted):
    mixture, X, y = fitted
    with pytest.raises(ValueError, match=r"(?i)negative"):
        mixture.information_criteria(X, y, -np.ones(len(y)))
