"""All that is logged in a process, whatever its configuration keeps quiet."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

from ..engine import transport

#: Those that tell of requests, and the root, which would tell of everything.
LOGGERS = ("", transport.__name__, "requests", "urllib3", "urllib3.connectionpool", "http.client")


@contextlib.contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """Give a text that grows with every line of the log, from debug level on."""
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    logging.getLogger().addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield told
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
