"""Logs: one JSON line per event, for us and for the libraries, with no personal data in it."""

import logging
import sys

import structlog


def configure_logs(level: str) -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_exception_text,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # The HTTP client logs whole addresses, and platforms put keys into them.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)


def _without_exception_text(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keeps where an exception was raised and of what type; its message may hold values."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    if isinstance(found, tuple):
        error, traceback = found[1], found[2]
        event["error"] = type(error).__name__
        event["where"] = _frames(traceback)
    return event


def _frames(traceback: object) -> list[str]:
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code  # type: ignore[attr-defined]
        line = traceback.tb_lineno  # type: ignore[attr-defined]
        frames.append(f"{code.co_filename.rsplit('/', 2)[-1]}:{line} {code.co_name}")
        traceback = traceback.tb_next  # type: ignore[attr-defined]
    return frames[-8:]
