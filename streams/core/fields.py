"""Fields: what one JSON value may mean as a user, an id, a price or a quantity; :class:`UnfitError` where it cannot."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from hashlib import blake2b
from typing import Final

from streams.core.events import MICRO

MAX_USER_CHARS: Final = 256
MAX_ID_CHARS: Final = 128
MAX_QUERY_CHARS: Final = 256
MAX_AMOUNT: Final = 1_000_000_000
"""Bound of a price (units) and of the size of a quantity."""

_INT64: Final = 1 << 63


class UnfitError(Exception):
    """The record has to be rejected (never leaves the cleaner)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def user_id(value: object) -> str:
    """A user: text without its outer blanks, or an integer."""
    if type(value) is str:
        user = value.strip()
        if not user:
            raise UnfitError("missing_user", "user_id is blank")
    elif value is None:
        raise UnfitError("missing_user", "user_id is absent or null")
    elif type(value) is int and -_INT64 <= value < _INT64:
        user = str(value)
    else:
        raise UnfitError("bad_user", f"user_id must be text or an integer, this is {name_of(value)}")
    if len(user) > MAX_USER_CHARS:
        raise UnfitError("bad_user", f"user_id has {len(user)} characters, at most {MAX_USER_CHARS} are taken")
    if not user.isascii() and not is_unicode(user):
        raise UnfitError("bad_user", "user_id is not valid Unicode")
    if user[0] == "\0":
        # The changelog keeps keys that begin with it for fences and the partition's own record.
        raise UnfitError("bad_user", "user_id begins with a NUL character")
    return user


def text_of(value: object, field: str, most: int = MAX_ID_CHARS) -> str | None:
    """Text without its outer blanks, or an integer as text; None where absent or blank; at most ``most`` characters."""
    if value is None:
        return None
    if type(value) is str:
        text = value.strip()
        if not text:
            return None
        if not text.isascii() and not is_unicode(text):
            raise UnfitError("bad_field", f"{field} is not valid Unicode")
        return text if len(text) <= most else _shorten(text, most)
    if type(value) is int and -_INT64 <= value < _INT64:
        return str(value)
    raise UnfitError("bad_field", f"{field} must be text or an integer, this is {name_of(value)}")


def _shorten(text: str, most: int) -> str:
    """Cut an overlong id without letting two different ones become the same."""
    return text[: most - 17] + "~" + blake2b(text.encode(), digest_size=8).hexdigest()


def micro_units(value: object) -> int | None:
    """A price in units as millionths: half even on the shortest decimal that reads back as the number."""
    if type(value) is float:
        if not 0.0 <= value <= MAX_AMOUNT:  # NaN compares false
            raise UnfitError("bad_price", f"price must be 0 to {MAX_AMOUNT}, this is {value}")
        scaled = value * MICRO
        nearest = round(scaled)
        # Scaling is off by less than 0.2 millionths at MAX_AMOUNT, so only near a half can the float mislead.
        if -0.25 < scaled - nearest < 0.25:
            return nearest
        return int((Decimal(repr(value)) * MICRO).to_integral_value(ROUND_HALF_EVEN))
    if value is None:
        return None
    if type(value) is int:
        if not 0 <= value <= MAX_AMOUNT:
            raise UnfitError(
                "bad_price", f"price must be 0 to {MAX_AMOUNT}, this is {'negative' if value < 0 else 'more'}"
            )
        return value * MICRO
    raise UnfitError("bad_price", f"price must be a number, this is {name_of(value)}")


def whole_quantity(value: object) -> int:
    """A whole number of pieces, signed; 1 where absent."""
    if value is None:
        return 1
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise UnfitError("bad_quantity", f"quantity must be a whole number, this is {name_of(value)}")
    if not -MAX_AMOUNT <= value <= MAX_AMOUNT:
        raise UnfitError("bad_quantity", f"quantity must be within ±{MAX_AMOUNT}")
    return value


def is_unicode(text: str) -> bool:
    """Whether text can be written: JSON can spell a lone surrogate, which nothing can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def name_of(value: object) -> str:
    """What a value is, in plain words, for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "a large integer" if abs(value) > 2**53 else "an integer"
    return {
        "dict": "an object",
        "list": "a list",
        "str": "text",
        "float": "a decimal number",
    }.get(type(value).__name__, f"a {type(value).__name__}")
