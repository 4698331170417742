"""`card-gateway`: the entry point with all commands."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from core.kernel.settings import SettingsError
from core.storage import ObjectsUnavailable
from gateway.cli.database_errors import explained
from gateway.cli.desk import close_order, correct_death
from gateway.cli.import_cards import import_cards
from gateway.cli.import_outlets import import_outlets
from gateway.cli.issuer_events import issuer_events
from gateway.cli.migrate import migrate
from gateway.cli.operation_manifest import operation_manifest
from gateway.cli.outbox import outbox
from gateway.cli.private_files import create_files_privately
from gateway.cli.rotate_keys import rotate_keys
from gateway.cli.schema import schema
from gateway.cli.serve import serve
from gateway.cli.settings import settings
from gateway.cli.verify_audit import anchor_audit, verify_audit
from gateway.cli.wechat_menu import wechat_menu
from gateway.cli.work import work

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

for command in (
    serve,
    work,
    settings,
    schema,
    operation_manifest,
    import_cards,
    import_outlets,
    verify_audit,
    anchor_audit,
    rotate_keys,
    migrate,
    close_order,
    correct_death,
):
    cli.command()(command)
cli.add_typer(wechat_menu, name="wechat-menu")
cli.add_typer(outbox, name="outbox")
cli.add_typer(issuer_events, name="issuer-events")


def main() -> None:
    create_files_privately()
    try:
        cli(prog_name="card-gateway")
    except (SettingsError, ObjectsUnavailable) as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        print(line, file=sys.stderr)
        raise SystemExit(1) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"card-gateway {version('card-gateway')}")
        raise typer.Exit


@cli.callback()
def options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Prints the version."
        ),
    ] = False,
) -> None:
    """GraphQL gateway to the online services of Chengdu's social security card."""
