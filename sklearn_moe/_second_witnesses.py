"""Witnesses that have missed what the fit has found begin again.

A witness makes the start anew from the rows that it may see, and the start that has led the fit to
its regions may lead the witness elsewhere. It would then end the fit early, and deny the gain. So
if the fit, out of fold, explains the rows of a fold far better than the witness does, a second
witness races all kinds of starts. If it finds more, the fit goes on and is led by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ._em import EMResult, EMRule
from ._expert_errors import PartError
from ._first_starts import Start
from ._numeric import mean_and_stderr
from ._plans import Plan, attempt, together
from ._progress import Session
from ._verdict import Stage, run_led
from ._witnesses import Witness
from .starts import STARTS

# Nats, and standard errors, by which a witness is far behind, if its fold has this many rows. With
# less, or in smaller folds, it may only lack rows to learn from.
FAR_BEHIND, SURE_OF_IT, FOLD_ROWS = 0.1, 10.0, 40


def seconded(stage: Stage, session: Session) -> Plan[Stage]:
    """The stage, continued with second witnesses in place of those that have missed something."""
    left = session.left_after(stage.result)
    # If a run was cut short, its witnesses may have needed more iterations only.
    was_cut = left <= 0 or session.was_ended(stage.result) or stage.trouble
    if was_cut or not (missed := _missed(stage)):
        return stage
    session.reporter.missed([witness.fold for witness in missed])
    seconds = yield from together(*(_second(w, stage, session) for w in missed))
    if set(seconds) - set(missed):
        # Copies: the stage stays as it is, should it be the better one.
        of_fold = {w.fold: w.going_on() for w in (*stage.witnesses, *seconds)}
        stage = yield from _gone_on(stage, list(of_fold.values()), session.within(left))
    lead = float(np.mean([_lead(stage, witness)[0] for witness in stage.trusted]))
    is_well = stage.trouble or lead < FAR_BEHIND or not _missed(stage)
    return stage if is_well else replace(stage, trouble=_trouble(lead))


def _missed(stage: Stage) -> list[Witness]:
    """The witnesses that are far behind the fit on the rows of their fold.

    Not for experts that lose rows: their bounds depend on luck as well, and second witnesses have
    gained nothing.
    """
    splits = stage.model.splits
    if stage.recipe.specialisation.loses_rows or splits is None or not splits.dealt:
        return []
    rank = stage.model.data.rank  # of which copies have the same
    large = [w for w in stage.trusted if len(np.unique(rank[w.test])) >= FOLD_ROWS]
    leads = {w: _lead(stage, w) for w in large}
    return [w for w, (mean, stderr) in leads.items() if mean > max(FAR_BEHIND, SURE_OF_IT * stderr)]


def _lead(stage: Stage, witness: Witness) -> tuple[float, float]:
    """How far the fit, out of fold, is ahead of the witness of the fold, and the standard error.

    Both have learnt from equally many rows.
    """
    data, rows = stage.model.data, witness.test
    delta = stage.result.last.log_evidence[rows] - witness.latest.log_prob
    return mean_and_stderr(delta, data.sample_weight[rows], data.clusters[rows])


def _second(witness: Witness, stage: Stage, session: Session) -> Plan[Witness]:
    """Another witness of the same fold, from the best of all kinds of starts; itself if none is."""
    made = yield from attempt(_raced(witness, stage, session.rule), ValueError)
    name = f"second witness of fold {witness.fold}"
    if isinstance(made, ValueError):
        session.reporter.failure(name, made)
        return witness
    wins = made.expectation.lower_bound > witness.expectation.lower_bound
    session.reporter.trial(name, made.expectation, wins)
    return made if wins else witness


def _raced(witness: Witness, stage: Stage, rule: EMRule) -> Plan[Witness]:
    """A witness of the same fold that has come as far as a race leads."""
    second = Witness(stage.recipe, stage.model.data, witness.fit_splits, witness.fold)
    yield from second.race([Start(kind) for kind in STARTS], rule)
    return second


def _gone_on(stage: Stage, witnesses: Sequence[Witness], session: Session) -> Plan[Stage]:
    """The stage, continued under the lead of these witnesses, if that scores higher."""
    before = stage.result
    led = run_led(stage.model, EMResult(before.last), witnesses, session)
    after = yield from attempt(led, PartError)
    if isinstance(after, PartError):
        return stage
    run = after.result
    if max(run.scores, default=-np.inf) <= max(before.scores):
        return stage
    result = replace(
        run,
        lower_bounds=(*before.lower_bounds, *run.lower_bounds),
        scores=(*before.scores, *run.scores),
        best_iter=before.n_iter + run.best_iter,
    )
    return replace(after, result=result)


def _trouble(lead: float) -> str:
    """What the user should know of a fit whose witnesses have found less."""
    return (
        "Witnesses have missed what the fit has found: out of fold it explains rows better than "
        f"they do, by {lead:.2g} nats in the mean, so gain_ may be too low. Another init may lead "
        "them there."
    )
