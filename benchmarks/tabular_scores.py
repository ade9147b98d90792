"""The figures of a fitted model on test rows, one flat dictionary for each."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.data import Table
from benchmarks.laws import WithNoise

COVERAGES = (0.5, 0.8, 0.9, 0.95)
CLIP = 1e-6
FIGURES = (
    *("loss", "nll", "crps", "accuracy"),
    *(f"coverage_{100 * coverage:.0f}" for coverage in COVERAGES),
    *("fit_seconds", "predict_seconds", "n_fits", "n_experts", "gain", "gain_stderr", "chosen"),
)


def evaluate(model: Any, train: Table, test: Table, seed: int) -> dict[str, Any]:
    """Fit to the training part, and score the test part once."""
    if train.task == "regression" and not hasattr(model, "law"):
        model = WithNoise(model, seed)
    begun = perf_counter()
    model.fit(train.X, train.y.to_numpy())
    seconds = getattr(model, "fit_seconds_", perf_counter() - begun)
    score = of_numbers if train.task == "regression" else of_labels
    figures = score(model, test)
    if lacking := [name for name, value in figures.items() if not np.isfinite(value)]:
        raise ValueError(f"what it predicts has no finite {', '.join(lacking)}")
    return {**figures, "fit_seconds": seconds, **claims(model)}


def of_numbers(model: Any, test: Table) -> dict[str, float]:
    """RMSE, negative log density, CRPS and coverage, in the units of the target."""
    y, begun = test.y.to_numpy(), perf_counter()
    predicted = np.ravel(model.predict(test.X))
    seconds, law = perf_counter() - begun, model.law(test.X)
    tails = [tail for c in COVERAGES for tail in ((1 - c) / 2, (1 + c) / 2)]
    ends = np.asarray(law.ppf(tails)).reshape(len(y), -1, 2)
    covered = np.mean((ends[:, :, 0] <= y[:, None]) & (y[:, None] <= ends[:, :, 1]), axis=0)
    return {
        "loss": float(np.sqrt(np.mean((y - predicted) ** 2))),
        "nll": -float(np.mean(law.logpdf(y))),
        "crps": float(np.mean(law.crps(y))),
        **{f"coverage_{100 * c:.0f}": share for c, share in zip(COVERAGES, covered, strict=True)},
        "predict_seconds": seconds,
    }


def of_labels(model: Any, test: Table) -> dict[str, float]:
    """Log-loss with no probability below `CLIP`, and accuracy."""
    begun = perf_counter()
    proba = np.asarray(model.predict_proba(test.X))
    seconds = perf_counter() - begun
    classes, y = np.asarray(model.classes_), test.y.to_numpy()
    own = proba[np.arange(len(y)), np.searchsorted(classes, y)]
    log_loss = -float(np.log(np.maximum(own, CLIP)).mean())
    return {
        "loss": log_loss,
        "nll": log_loss,
        "accuracy": float(np.mean(classes[proba.argmax(axis=1)] == y)),
        "predict_seconds": seconds,
    }


def claims(model: Any) -> dict[str, Any]:
    """What the model says of itself: the verdict of a mixture, what a search has chosen."""
    said = {"chosen": getattr(model, "chosen_", ""), "n_fits": getattr(model, "n_fits_", 1)}
    model = getattr(model, "model_", model)
    if hasattr(model, "best_name_"):
        chosen = [f"{name} {weight:.2f}" for name, weight in model.weights_.items()]
        said |= {"chosen": " + ".join(chosen), "n_fits": len(model.log_probs_)}
        model = model.mixture_
    if hasattr(model, "best_params_"):
        said["chosen"] = str(model.best_params_)
        said["n_fits"] = len(model.cv_results_["params"]) * model.n_splits_ + 1
        model = model.best_estimator_
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    if hasattr(model, "gain_"):
        said |= {"n_experts": model.n_experts_, "gain": model.gain_}
        said["gain_stderr"] = model.gain_stderr_
    return said
