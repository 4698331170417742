"""`card-gateway settings`: every setting with its meaning and default."""

from dataclasses import fields

from core.kernel.settings import PREFIX, Secret, Settings, variable


def settings() -> None:
    """Lists every setting with its meaning and default."""
    for entry in fields(Settings):
        default = "" if isinstance(entry.default, Secret) else entry.default
        print(f"{variable(entry.name)}\n    {entry.metadata['meaning']}")
        print(f"    default: {'(none)' if default in ('', None) else default}")
    print(f"\n{PREFIX}SECRETS_DIR\n    folder with a file per setting, named in lower case")
