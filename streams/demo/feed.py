"""``python -m streams.demo.feed SEED DAYS USERS``: the simulated shop to the input topics, as a process of its own.

Settings come from ``EBBTIDE_*``. How far it is stands in the progress file of publishing.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from streams.core.errors import EbbtideError
from streams.demo.shop import Shop
from streams.demo.shop_log import ShopLog
from streams.replay.publisher import publish
from streams.replay.resume import publication
from streams.settings import load_settings


def feed(seed: int, days: int, users: int) -> None:
    """Publish every record of the shop in the order of arrival, as fast as Kafka takes it."""
    settings = load_settings(os.environ)
    log = ShopLog(Shop(seed, days, users))
    publish(
        [log],
        settings,
        resume_path=settings.state_dir.parent / "publish" / f"{publication([log.digest])}.json",
    )


def main() -> NoReturn:
    """The process."""
    seed, days, users = map(int, sys.argv[1:4])
    try:
        feed(seed, days, users)
    except EbbtideError as error:
        sys.exit(str(error))
    sys.exit(0)


if __name__ == "__main__":
    main()
