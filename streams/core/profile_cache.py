"""The decoded profiles an engine holds, in front of what is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from streams.core.fold import Fold
from streams.core.profile import Profile, decode_profile


class ProfileStore(Protocol):
    """Where stored profiles are read from."""

    def get(self, user_id: str, /) -> bytes | None:
        """What was last stored for a user."""


class ProfileCache:
    """Finds profiles by user, decoding what is stored; keeps at most so many of them.

    Parameters
    ----------
    store
        Read when a user is not held.
    fold
        Makes the view of a decoded profile.
    most
        Profiles to hold between two steps; None for all of them.
    """

    __slots__ = ("_fold", "_forgotten", "_most", "_profiles", "_store")

    def __init__(self, store: ProfileStore | Mapping[str, bytes], fold: Fold, most: int | None) -> None:
        self._store = store
        self._fold = fold
        self._most = most
        self._profiles: dict[str, Profile] = {}
        # Forgotten in the present step: their stored value is void although the caller has yet to delete it.
        self._forgotten: set[str] = set()

    def __len__(self) -> int:
        """Profiles held."""
        return len(self._profiles)

    def users(self) -> Iterable[str]:
        """Users whose profile is held."""
        return self._profiles.keys()

    def begin(self) -> None:
        """A step begins: the caller has stored, or keeps in front of the store, what the last one changed."""
        self._forgotten.clear()

    def find(self, user_id: str) -> Profile | None:
        """A user's profile; None for who is unknown or forgotten.

        Raises
        ------
        StateError
            What is stored is damaged, foreign or newer.
        """
        profile = self._profiles.get(user_id)
        if profile is None and user_id not in self._forgotten:
            value = self._store.get(user_id)
            if value is not None:
                profile = self._profiles[user_id] = decode_profile(user_id, value, self._fold)
        return profile

    def fresh(self, user_id: str) -> Profile:
        """A profile for somebody new."""
        profile = self._profiles[user_id] = Profile(user_id)
        return profile

    def drop(self, user_id: str) -> bool:
        """Let go of a profile that holds nothing; whether its user was forgotten in this step."""
        self._profiles.pop(user_id, None)
        return user_id in self._forgotten

    def forget(self, user_id: str) -> None:
        """Forget a user, whatever the store still says."""
        self._profiles.pop(user_id, None)
        self._forgotten.add(user_id)

    def trim(self, kept: Collection[str]) -> None:
        """Go back to the size, oldest first; ``kept`` stays, for the caller has yet to store it."""
        if self._most is None or len(self._profiles) <= self._most:
            return
        excess = len(self._profiles) - self._most
        gone: list[str] = []
        for user_id in self._profiles:
            if len(gone) == excess:
                break
            if user_id not in kept:
                gone.append(user_id)
        for user_id in gone:
            del self._profiles[user_id]
