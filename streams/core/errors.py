"""Ebbtide's error tree.

::

    EbbtideError                what a user can mend; the command line prints it in one line
    ├── SettingsError           an unknown or bad setting
    ├── PolicyError             a policy file that does not hold together
    ├── InputFileError          an event log that cannot be read
    ├── OutputFolderError       a result folder that cannot be written or read
    ├── UnknownUserError        nobody by that id
    ├── UnknownHoldError        a partition that holds no outputs
    ├── UnknownModelError       no model cut of that version
    ├── BrokerError             Kafka is away, refuses, or its topics do not fit
    │   ├── TopicError          a topic is missing, or has the wrong partitions or configuration
    │   ├── AccessError         Kafka knows us not, is not who we trust, or does not let us: waiting does not help
    │   └── StalledError        Kafka can be reached, and yet nothing moves
    ├── FeedError               an input of which too much cannot be accepted
    ├── RedriveError            dead letters that cannot be read, mended or sent again as asked
    ├── ChildError              a process that we started ended before its time
    ├── WorkersError            the workers of a backfill cannot be had, or keep ending
    ├── StateError              stored state that is newer, foreign or damaged
    └── SnapshotError           a model cut that is foreign, tampered with, or of another feature schema

Everything else that is raised is a bug of ours: it ends the process loudly.
"""

from __future__ import annotations


class EbbtideError(Exception):
    """Base of every error a user can mend.

    Parameters
    ----------
    what
        What was wrong and where (topic, partition, offset, file, line or setting), one sentence.
    hint
        What to do about it, one sentence; may be empty.
    """

    exit_code = 1

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what} {hint}".strip())
        self.what = what
        self.hint = hint


class SettingsError(EbbtideError):
    """An unknown setting, or one whose value is out of range."""

    exit_code = 2


class PolicyError(EbbtideError):
    """A policy file that cannot be read or does not hold together."""

    exit_code = 2


class InputFileError(EbbtideError):
    """An event log that is missing, unreadable, empty or lacks a required column."""


class OutputFolderError(EbbtideError):
    """A result folder that cannot be written, or is not a finished one."""


class UnknownUserError(EbbtideError):
    """No portrait of a user by that id."""


class UnknownHoldError(EbbtideError):
    """A partition that was named holds no outputs."""


class UnknownModelError(EbbtideError):
    """No model cut has the version that was named."""


class BrokerError(EbbtideError):
    """Kafka is away, refuses us, or answered what we cannot go on from."""


class TopicError(BrokerError):
    """A topic is missing, or has the wrong partition count or configuration."""


class AccessError(BrokerError):
    """Kafka is there and says no: a wrong password or certificate, or an operation that is not allowed to us.

    Not an outage: trying again changes nothing until a person has mended it.
    """


class StalledError(BrokerError):
    """Kafka can be reached, work waits, and nothing has moved for too long."""


class FeedError(EbbtideError):
    """So much of an input cannot be accepted that going on would throw it away."""


class RedriveError(EbbtideError):
    """Dead letters that cannot be read, mended or sent again as asked."""


class ChildError(EbbtideError):
    """A process that we started ended before its time."""


class WorkersError(EbbtideError):
    """The workers of a backfill cannot be had, or end again and again."""


class StateError(EbbtideError):
    """Stored state that is newer than this program, foreign, or damaged."""


class SnapshotError(EbbtideError):
    """A model cut that is foreign, tampered with, or of another feature schema."""
