"""What the models refuse. The shell maps these onto Ebbtide's own error tree.

::

    ModelError                  what was wrong, and a hint
    ├── SnapshotError           a model cut that is foreign, tampered with, of another schema, or newer
    └── TrainingRecordError     a record of ``training-examples`` that cannot be read
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of what a user can mend.

    Parameters
    ----------
    what
        What was wrong and where, one sentence.
    hint
        What to do about it, one sentence; may be empty.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what} {hint}".strip())
        self.what = what
        self.hint = hint


class SnapshotError(ModelError):
    """A model cut that is foreign, tampered with, of another feature schema, or from a newer Ebbtide."""


class TrainingRecordError(ModelError):
    """An example or mark that cannot be read; nothing was changed by it."""
