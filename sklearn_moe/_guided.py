"""A fit goes on from where a witness has come, if that is a better place.

Witnesses run EM by themselves, and may find an optimum that the fit has missed. So when the run of
the fit has ended, EM goes on from the responsibilities that the best witness gives all rows. This
costs a run without witnesses. Its result is kept if it explains the rows, out of fold, surely
better.

The scores of unseen rows by witnesses stand, for they are those of the witnesses' own mixtures.
Only where numbers of experts are compared, and a fit lags behind its witnesses all the same, do the
fit's own scores count.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ._em import DIGITS, EMResult, EMRule, run_em
from ._numeric import Array, weighted_mean
from ._plans import Plan, attempt
from ._progress import Session
from ._verdict import Stage
from ._witnesses import Witness

# Standard errors beyond which a difference is not luck.
SURE = 2.0
WITNESS = "what a witness has found"
# Rows for each coefficient, above which linear regressors do not follow the rows' own noise.
ROWS_ENOUGH = 3
# Nats by which a fit is behind its witnesses if its user should know.
WORTH_TELLING = 1.0


def guided(stage: Stage, session: Session) -> Plan[Stage]:
    """The stage, continued from where the best of its witnesses has come, if that is better.

    Stiff experts always try this, others only if unseen rows say that they lag: their bound is too
    optimistic to choose by, for it rises where experts have seen the rows that they predict.
    """
    if _is_stiff(stage) or _lags(stage):
        stage = yield from _go_on(stage, session)
    if stage.trouble or not _lags(stage, WORTH_TELLING):
        return stage
    return replace(stage, trouble=_behind(stage))


def caught_up(stage: Stage, session: Session) -> Plan[Stage]:
    """The stage, continued from a witness if unseen rows say that the fit lags behind.

    If the fit still lags, its own scores replace those of the witnesses: numbers of experts are to
    be compared by what is true of the fits.
    """
    if _lags(stage):
        stage = yield from _go_on(stage, session)
    return by_itself(stage) if _lags(stage) else stage


def _behind(stage: Stage) -> str:
    """What the user should know of a fit that is worse than its witnesses."""
    held_out, data = stage.result.expectation.held_out, stage.model.data
    known = ~np.isnan(held_out)
    own, theirs = (
        weighted_mean(log_prob[known], data.sample_weight[known])
        for log_prob in (_own_log_prob(stage), held_out)
    )
    whose = "" if stage.has_one_expert else ", and gain_ is theirs"
    return (
        f"The fit is behind its witnesses: out of fold it explains rows with a mean log density of "
        f"{own:.3g}, they with {theirs:.3g}{whose}. Another init or family may find what they have "
        "found."
    )


def _is_stiff(stage: Stage) -> bool:
    """Whether experts are plain linear regressors of few coefficients for the rows there are."""
    recipe, data = stage.recipe, stage.model.data
    plain = all(template.problem is not None for template in recipe.templates)
    if data.classes is not None or not plain or recipe.specialisation.loses_rows:
        return False
    n_coefficients = len(recipe.templates) * (data.X.shape[1] + 1)
    return ROWS_ENOUGH * n_coefficients <= len(data.distinct)


def _go_on(stage: Stage, session: Session) -> Plan[Stage]:
    """The stage with the better of two runs: its own, and one from the guide."""
    result, guide = stage.result, _guide(stage)
    session = session.within(min(result.n_iter, session.left_after(result)))
    if guide is not None and session.rule.max_iter > 0 and not session.was_ended(result):
        run = yield from attempt(_run_from(stage, guide, session.rule), ValueError)
        if isinstance(run, EMResult):
            stage = _better(stage, run, session)
        elif run is not None:
            session.reporter.failure(WITNESS, run)
    return stage


def _better(stage: Stage, run: EMResult, session: Session) -> Stage:
    """The stage, continued by another run if that is surely better."""
    delta = run.expectation.log_evidence - _own_log_prob(stage)
    wins, reporter = _is_sure(stage, delta, session.rule.tol), session.reporter
    reporter.trial(WITNESS, run, wins)
    if wins:
        stage = _instead(stage, run)
        with reporter.run(max_iter=1):
            reporter.iteration(stage, max_iter=stage.result.n_iter)
    return stage


def _guide(stage: Stage) -> Witness | None:
    """The witness of highest bound that has lost no expert; None if the run has failed."""
    if stage.trouble or not stage.trusts_witnesses or stage.recipe.top_k is not None:
        return None
    whole = len(stage.recipe.templates)
    guides = [guide for guide in stage.witnesses if len(guide.best.members) == whole]
    return max(
        guides, key=lambda guide: round(_bound_without_unit(stage, guide), DIGITS), default=None
    )


def _bound_without_unit(stage: Stage, guide: Witness) -> float:
    """The bound of a witness beside those of others, whose rows have other shares of zeros.

    Zeros may have probabilities, while amounts have densities, which depend on a unit.
    """
    data = guide.model.data
    of_unit = stage.recipe.family.surprise(data.target, np.zeros(data.n_samples))
    return guide.best.lower_bound - float(weighted_mean(of_unit, data.sample_weight))


def _run_from(stage: Stage, guide: Witness, rule: EMRule) -> Plan[EMResult | None]:
    """EM from where the guide has come; None if the guide loses an expert when it is asked."""
    resp = yield from guide.responsibilities(stage.model.data)
    if resp.shape[1] < len(stage.recipe.templates):
        return None
    start = stage.model.begin(resp)
    del resp  # as large as the table
    run = run_em(stage.model, start, rule)
    del start
    return (yield from run)


def _own_log_prob(stage: Stage) -> Array:
    """Log density (n,) of the rows, out of fold."""
    log_evidence = stage.result.expectation.log_evidence
    assert log_evidence is not None
    return log_evidence


def _is_sure(stage: Stage, delta: Array, least: float = 0.0) -> bool:
    """Whether differences (n,) of log densities are surely above zero, and above the `least`."""
    mean, stderr = stage.model.data.mean_and_stderr(delta)
    return bool(mean > max(SURE * stderr, least))


def _lags(stage: Stage, least: float = 0.0) -> bool:
    """Whether witnesses explain unseen rows better than the fit out of fold, by the `least`."""
    held_out = stage.result.expectation.held_out
    return held_out is not None and _is_sure(stage, held_out - _own_log_prob(stage), least)


def _instead(stage: Stage, run: EMResult) -> Stage:
    """The stage, continued by another run, with the scores of its own witnesses."""
    before = stage.result
    unseen = {"held_out": before.expectation.held_out, "score": before.expectation.score}
    result = replace(
        before,
        state=run.state,
        last=run.last,
        expectation=replace(run.expectation, **unseen),
        lower_bounds=(*before.lower_bounds, *run.lower_bounds),
        best_iter=before.n_iter + run.best_iter,
    )
    return replace(stage, result=result)


def by_itself(stage: Stage) -> Stage:
    """The stage with the scores of the fit out of fold in place of those of its witnesses."""
    data, expectation = stage.model.data, stage.result.expectation
    own = np.where(np.isnan(expectation.held_out), np.nan, expectation.log_evidence)
    weights = [data.sample_weight[w.test] for w in stage.witnesses]
    sums = [own[w.test] @ weight for w, weight in zip(stage.witnesses, weights, strict=True)]
    by_fold = np.array([sums]) / np.sum([weight.sum() for weight in weights])
    result = replace(stage.result, expectation=replace(expectation, held_out=own))
    return replace(stage, result=result, fold_log_probs=by_fold, trusts_witnesses=False)
