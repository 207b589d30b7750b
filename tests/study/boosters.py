"""The batch learners that are installed, for the boosting that is refitted; one thread each, seeded."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from models.study.boosting import Fit, Scores
from models.study.contenders import Vector
from models.study.examples import Flags


def fits() -> dict[str, Fit]:
    """By name, LightGBM first; it comes with the dependency group ``study``."""
    found: dict[str, Fit] = {}
    if find_spec("lightgbm") is not None:
        found["LightGBM"] = _lightgbm
    found["scikit-learn boosting"] = _histogram
    return found


def _lightgbm(matrix: Vector, outcomes: Flags) -> Scores:
    import lightgbm

    settings = {
        "objective": "binary",
        "learning_rate": 0.03,
        "num_leaves": 15,
        "min_data_in_leaf": 50,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.5,
        "seed": 1,
        "num_threads": 1,
        "deterministic": True,
        "verbose": -1,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        booster = lightgbm.train(settings, lightgbm.Dataset(matrix, outcomes.astype(np.int8)), num_boost_round=200)

    def scores(rows: Vector) -> Vector:
        found: Vector = np.asarray(booster.predict(rows, num_threads=1), dtype=np.float64)
        return found

    return scores


def _histogram(matrix: Vector, outcomes: Flags) -> Scores:
    model = HistGradientBoostingClassifier(
        learning_rate=0.05, max_iter=120, max_leaf_nodes=15, min_samples_leaf=50, early_stopping=False, random_state=1
    ).fit(matrix, outcomes)

    def scores(rows: Vector) -> Vector:
        found: Vector = model.predict_proba(rows)[:, 1]
        return found

    return scores
