"""The options of the runs that start servers of their own."""

import argparse


def parser(description: str | None) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--database-url")
    options.add_argument("--control", action="store_true")
    return options
