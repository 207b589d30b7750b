"""The candidates of the study, by name. All of River's stand behind its StandardScaler where scale matters to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from river import ensemble, forest, linear_model, naive_bayes, optim, preprocessing, tree

from models.churn import BayesianLogistic
from models.study.boosting import Fit, RefittedBoosting
from models.study.contenders import Contender, OnDicts
from models.study.mixtures import Calibrated, LogitMean, WeighedMixture

Make = Callable[[Sequence[str]], Contender]
Parts = Callable[[Sequence[str]], list[Contender]]
CHAMPION = "posterior"
"""What the others are held against: the learner as Ebbtide makes it."""


class Candidate(NamedTuple):
    """One row of the table.

    ``one_user_in`` says on how much smaller a shop a slow one is run (the champion beside it on the same).
    """

    name: str
    kind: str
    make: Make
    one_user_in: int = 1


def _scaled(optimizer: Callable[[], Any], l2: float = 0.0) -> Make:
    """First-order logistic regression; the intercept gets the same step as the weights."""

    def make(features: Sequence[str]) -> Contender:
        step = optimizer()
        model = linear_model.LogisticRegression(optimizer=step, l2=l2, intercept_lr=0.01)
        return OnDicts(features, preprocessing.StandardScaler() | model)

    return make


def _posterior(**settings: Any) -> Make:
    return lambda features: BayesianLogistic(features, **settings)


def _dicts(make: Callable[[], Any]) -> Make:
    return lambda features: OnDicts(features, make())


def _boosting(fit: Fit, window: int) -> Make:
    return lambda features: RefittedBoosting(len(features), fit, window=window)


def _together(*makes: Make) -> Parts:
    return lambda features: [make(features) for make in makes]


def _mean(parts: Parts) -> Make:
    return lambda features: LogitMean(parts(features))


def _weighed(parts: Parts) -> Make:
    return lambda features: WeighedMixture(parts(features))


def first_order() -> list[Candidate]:
    """Logistic regression by stochastic gradients, each optimiser at a few rates."""
    kind = "first-order logistic"
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("SGD 0.01", lambda: optim.SGD(0.01)),
        ("SGD 0.003", lambda: optim.SGD(0.003)),
        ("SGD 0.1 / √t", lambda: optim.SGD(optim.schedulers.InverseScaling(0.1, 0.5))),
        ("Adam 0.003", lambda: optim.Adam(0.003)),
        ("Adam 0.0005", lambda: optim.Adam(0.0005)),
        ("AdaGrad 0.1", lambda: optim.AdaGrad(0.1)),
        ("AdaGrad 0.03", lambda: optim.AdaGrad(0.03)),
        ("FTRL α 0.05", lambda: optim.FTRLProximal(alpha=0.05, l1=0.0, l2=1.0)),
        ("FTRL α 0.01", lambda: optim.FTRLProximal(alpha=0.01, l1=0.0, l2=1.0)),
        ("RMSProp 0.001", lambda: optim.RMSProp(0.001)),
    ]
    return [Candidate(name, kind, _scaled(make)) for name, make in steps]


def second_order() -> list[Candidate]:
    """Logistic regression with a Gaussian posterior; what each of its settings does."""
    kind = "second-order logistic"
    return [
        Candidate(CHAMPION, kind, _posterior()),
        Candidate("prior 0.01, whole labels", kind, _posterior(prior_variance=0.01, likelihood_weight=1.0)),
        Candidate("prior 0.003, whole labels", kind, _posterior(prior_variance=0.003, likelihood_weight=1.0)),
        Candidate("prior 0.1, whole labels", kind, _posterior(prior_variance=0.1, likelihood_weight=1.0)),
        Candidate("prior 0.03, 0.3 of a label", kind, _posterior(prior_variance=0.03, likelihood_weight=0.3)),
        Candidate("prior 0.01, 0.3 of a label", kind, _posterior(prior_variance=0.01, likelihood_weight=0.3)),
        Candidate("prior 0.003, 0.3 of a label", kind, _posterior(prior_variance=0.003, likelihood_weight=0.3)),
        Candidate("prior 0.001, 0.3 of a label", kind, _posterior(prior_variance=0.001, likelihood_weight=0.3)),
        Candidate("prior 0.01, 0.1 of a label", kind, _posterior(prior_variance=0.01, likelihood_weight=0.1)),
        Candidate("forgetting 1e-5", kind, _posterior(forgetting=1e-5)),
        Candidate("forgetting 1e-4", kind, _posterior(forgetting=1e-4)),
    ]


def trees() -> list[Candidate]:
    """Online trees and forests, and bagging that watches for drift."""
    kind = "online trees"
    scaler = preprocessing.StandardScaler
    return [
        Candidate("naive Bayes", "baseline", _dicts(naive_bayes.GaussianNB)),
        Candidate("Hoeffding tree", kind, _dicts(lambda: tree.HoeffdingTreeClassifier(grace_period=200))),
        Candidate("Hoeffding adaptive tree", kind, _dicts(lambda: tree.HoeffdingAdaptiveTreeClassifier(seed=1))),
        Candidate("adaptive random forest, 10", kind, _dicts(lambda: forest.ARFClassifier(n_models=10, seed=1)), 4),
        Candidate("Mondrian forest, 10", kind, _dicts(lambda: forest.AMFClassifier(n_estimators=10, seed=1)), 4),
        Candidate(
            "ADWIN bagging, 5 Hoeffding trees",
            "ADWIN bagging",
            _dicts(lambda: ensemble.ADWINBaggingClassifier(tree.HoeffdingTreeClassifier(), n_models=5, seed=1)),
            4,
        ),
        Candidate(
            "ADWIN bagging, 5 AdaGrad",
            "ADWIN bagging",
            _dicts(
                lambda: (
                    scaler()
                    | ensemble.ADWINBaggingClassifier(
                        linear_model.LogisticRegression(optimizer=optim.AdaGrad(0.03)), n_models=5, seed=1
                    )
                )
            ),
            4,
        ),
    ]


def boosted(fits: dict[str, Fit]) -> list[Candidate]:
    """Gradient boosting by the libraries that are there, refitted on the last 20,000 labels."""

    return [
        Candidate(f"{name}, last {window:,}", "refitted boosting", _boosting(fit, window))
        for name, fit in fits.items()
        for window in (5_000, 20_000)
    ]


def mixed(fits: dict[str, Fit]) -> list[Candidate]:
    """Small mixtures of the above, and calibration on delayed labels."""

    champion, forgetful = _posterior(), _posterior(forgetting=1e-4)
    loose = _posterior(prior_variance=0.1, likelihood_weight=1.0)
    adagrad = _scaled(lambda: optim.AdaGrad(0.03))
    linear = _together(champion, forgetful, loose)
    gradients = _together(champion, adagrad)
    found = [
        Candidate("mean of posterior and AdaGrad", "mixture", _mean(gradients)),
        Candidate("three posteriors, weighed", "mixture", _weighed(linear)),
        Candidate("posterior, calibrated", "calibration", lambda f: Calibrated(champion(f))),
        Candidate(
            "posterior, calibrated, forgetting 1e-3",
            "calibration",
            lambda f: Calibrated(champion(f), forgetting=1e-3),
        ),
    ]
    for name, fit in list(fits.items())[:1]:
        both = _together(champion, _boosting(fit, 20_000))
        found += [
            Candidate(f"mean of posterior and {name}", "mixture", _mean(both)),
            Candidate(f"posterior and {name}, weighed", "mixture", _weighed(both)),
        ]
    return found


def candidates(fits: dict[str, Fit]) -> list[Candidate]:
    """All of them; ``fits`` are the batch learners that are installed."""
    return [*second_order(), *first_order(), *trees(), *boosted(fits), *mixed(fits)]
