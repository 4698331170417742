"""`card-gateway schema`: the SDL."""


def schema() -> None:
    """Prints the schema in SDL."""
    from gateway.schema import build_schema

    print(build_schema().as_str())
