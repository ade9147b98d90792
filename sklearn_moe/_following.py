"""A fit begins again where a witness has come to, if that is a better place.

Witnesses run EM by themselves, and may find an optimum that the fit has missed. So when its run has
ended, EM goes on from the responsibilities that the best of them gives all rows. This costs a run
without witnesses. What comes of it is kept if it explains the rows, out of fold, surely better.
What the witnesses have said of unseen rows stands, for they have said it of their own mixtures.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ._em import EMResult, EMRule, run_em
from ._experts import ExpertError
from ._numeric import Array, mean_and_stderr
from ._plans import Plan, attempt
from ._progress import Reporter
from ._verdict import Stage
from ._witnesses import Witness

# Standard errors that are no luck.
SURE = 2.0


def following(stage: Stage, rule: EMRule, reporter: Reporter) -> Plan[Stage]:
    """The stage, after its run has followed the best of its witnesses, if there is one.

    Experts that lose rows follow only where they lag: their bound rises by its own echo as well.
    """
    if stage.recipe.specialisation.loses_rows:
        return (yield from caught_up(stage, rule, reporter))
    return (yield from _follow(stage, rule, reporter))


def caught_up(stage: Stage, rule: EMRule, reporter: Reporter) -> Plan[Stage]:
    """The same, only where unseen rows say that the fit was left behind."""
    if not _lags(stage):
        return stage
    return (yield from _follow(stage, rule, reporter))


def _follow(stage: Stage, rule: EMRule, reporter: Reporter) -> Plan[Stage]:
    """The stage with the better run of the two.

    If witnesses explain unseen rows better than it does out of fold, they have found what it has
    not, and its own word stands.
    """
    rule = replace(rule, max_iter=min(stage.result.n_iter, rule.max_iter - stage.result.n_iter))
    guide = _guide(stage)
    if guide is not None and rule.max_iter > 0:
        run = yield from attempt(_followed(stage, guide, rule), ExpertError)
        if isinstance(run, EMResult):
            wins = _is_sure(stage, run.expectation.log_evidence - _own(stage), rule.tol)
            reporter.trial("what a witness has found", run, wins)
            if wins:
                stage = _instead(stage, run)
                with reporter.run(max_iter=1):
                    reporter.iteration(stage, max_iter=stage.result.n_iter)
    return _by_itself(stage) if _lags(stage) else stage


def _guide(stage: Stage) -> Witness | None:
    """The witness, of as many experts, with the highest bound; none for a run that has failed."""
    if stage.trouble or stage.recipe.top_k is not None:
        return None
    whole = len(stage.recipe.templates)
    guides = [guide for guide in stage.witnesses if len(guide.best.members) == whole]
    return max(guides, key=lambda guide: guide.best.lower_bound, default=None)


def _followed(stage: Stage, guide: Witness, rule: EMRule) -> Plan[EMResult | None]:
    """EM from where the guide has come; none if an expert has been lost on the last step there."""
    resp = yield from guide.responsibilities(stage.model.data)
    if resp.shape[1] < len(stage.recipe.templates):
        return None
    return (yield from run_em(stage.model, stage.model.expect(resp), rule))


def _own(stage: Stage) -> Array:
    """Log density (n,) of the rows, out of fold."""
    log_evidence = stage.result.expectation.log_evidence
    assert log_evidence is not None
    return log_evidence


def _is_sure(stage: Stage, delta: Array, least: float = 0.0) -> bool:
    """Whether differences (n,) of log densities are surely above zero, and above the `least`."""
    mean, stderr = mean_and_stderr(delta, stage.model.data.sample_weight, stage.model.data.clusters)
    return bool(mean > max(SURE * stderr, least))


def _lags(stage: Stage) -> bool:
    """Whether witnesses explain unseen rows better than the fit does out of fold."""
    held_out = stage.result.expectation.held_out
    return held_out is not None and _is_sure(stage, held_out - _own(stage))


def _instead(stage: Stage, run: EMResult) -> Stage:
    """The stage gone on with another run, and what its own witnesses have said."""
    before = stage.result
    heard = {"held_out": before.expectation.held_out, "score": before.expectation.score}
    result = replace(
        before,
        state=run.state,
        last=run.last,
        expectation=replace(run.expectation, **heard),
        lower_bounds=(*before.lower_bounds, *run.lower_bounds),
        best_iter=before.n_iter + run.best_iter,
    )
    return replace(stage, result=result)


def _by_itself(stage: Stage) -> Stage:
    """The stage with what the fit says out of fold in place of what its witnesses have said."""
    data, expectation = stage.model.data, stage.result.expectation
    own = np.where(np.isnan(expectation.held_out), np.nan, expectation.log_evidence)
    weights = [data.sample_weight[w.test] for w in stage.witnesses]
    said = [own[w.test] @ weight for w, weight in zip(stage.witnesses, weights, strict=True)]
    said = np.array([said]) / np.sum([weight.sum() for weight in weights])
    result = replace(stage.result, expectation=replace(expectation, held_out=own))
    return replace(stage, result=result, fold_log_probs=said, trusts_witnesses=False)
