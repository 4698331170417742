"""How personal data is shown: enough to recognise one's own, too little to use another's."""


def mask_name(name: str) -> str:
    """`张**`: the first character."""
    return name[:1] + "*" * (len(name) - 1)


def mask_number(number: str) -> str:
    """`510***********123X`: the first three and the last four."""
    return f"{number[:3]}{'*' * (len(number) - 7)}{number[-4:]}"


def mask_phone(phone: str) -> str:
    """`138****5678`."""
    return f"{phone[:3]}****{phone[-4:]}"
