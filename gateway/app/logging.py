"""Logging: one JSON line per event, also for libraries, without personal data."""

import logging
import sys

import structlog

_TRACEBACK = "Traceback (most recent call last)"
_MIN_LEVELS = {
    # The HTTP client logs full URLs, which contain keys of platforms.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    # At DEBUG they log socket frames, values of SQL statements and parts of forms.
    "uvicorn": logging.INFO,
    "websockets": logging.INFO,
    "aiosqlite": logging.INFO,
    "python_multipart": logging.INFO,
}


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
    for name, least in _MIN_LEVELS.items():
        logging.getLogger(name).setLevel(max(least, logging.getLogger().level))


def _without_exception_text(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Logs the type and the location of an exception, not its message, which may hold values."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    if isinstance(found, tuple):
        error, traceback = found[1], found[2]
        event["error"] = type(error).__name__
        event["where"] = _frames(traceback)
    text = event.get("event")
    if isinstance(text, str) and _TRACEBACK in text:
        # uvicorn logs a failed start as a message that contains the traceback.
        event["event"] = "an exception was logged as text"
        event["error"] = text.strip().splitlines()[-1].partition(":")[0]
    return event


def _frames(traceback: object) -> list[str]:
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code  # type: ignore[attr-defined]
        line = traceback.tb_lineno  # type: ignore[attr-defined]
        frames.append(f"{code.co_filename.rsplit('/', 2)[-1]}:{line} {code.co_name}")
        traceback = traceback.tb_next  # type: ignore[attr-defined]
    return frames[-8:]
