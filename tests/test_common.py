"""scikit-learn's common checks, over instances that cover the ways to build a mixture."""

from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

INSTANCES = [
    MixtureOfExpertsRegressor(),
    MixtureOfExpertsRegressor(cv=None),
    MixtureOfExpertsRegressor(n_experts=1),
    MixtureOfExpertsRegressor([("ridge", Ridge()), ("ols", LinearRegression())]),
    MixtureOfExpertsRegressor(gate=LogisticRegression(solver="newton-cholesky")),
    MixtureOfExpertsClassifier(),
    MixtureOfExpertsClassifier(cv=None),
    MixtureOfExpertsClassifier(n_experts=1),
    MixtureOfExpertsClassifier(voting="hard"),
    MixtureOfExpertsClassifier(gate=LogisticRegression(solver="newton-cholesky")),
]


@parametrize_with_checks(INSTANCES)
def test_common_checks(estimator, check):
    check(estimator)
