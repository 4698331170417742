"""Switches one check of the channels' adapters off at a time, and shows which contract test fails.

    .venv/bin/python -m tests.soak.mutation_checks [--only NAME]

Works on a copy of the code in a temporary folder; the code itself stays as it is. The contract
suite is run for each check, on SQLite, until its first failure. A check that can be switched
off unnoticed ends the command with 1. So does a suite that fails with every check on.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITE = ("tests/channels/over_http/test_contract.py", "tests/channels/test_contract.py")
COPIED = ("core", "gateway", "sandbox", "tests", "pyproject.toml", "schema.graphql")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    file: str
    on: str
    off: str


CHECKS = (
    Check(
        "WeChat: the signature of a callback",
        "gateway/channels/wechat/callback.py",
        "if not hmac.compare_digest(expected.encode(), signature.encode()):",
        "if not expected:",
    ),
    Check(
        "WeChat: the age of a callback",
        "gateway/channels/wechat/callback.py",
        "is_current(timestamp, now) and nonce.isascii()",
        "nonce.isascii()",
    ),
    Check(
        "WeChat: the account that a message was encrypted for",
        "gateway/channels/wechat/callback.py",
        "if not hmac.compare_digest(plain[end:], self._app_id):",
        "if not plain[end:]:",
    ),
    Check(
        "WeChat: only the secure mode once there is a key",
        "gateway/channels/wechat/callback.py",
        "        if self._cipher is None:\n            self._check_signature(query",
        '        if self._cipher is None or "Encrypt" not in sent:\n'
        "            self._check_signature(query",
    ),
    Check(
        "WeChat: a virtual account",
        "gateway/channels/wechat/adapter.py",
        "if exchanged.is_snapshotuser == 1:",
        "if exchanged.is_snapshotuser == 2:",
    ),
    Check(
        "WeChat: a code is exchanged at most once",
        "gateway/channels/wechat/adapter.py",
        "parser(_CodeExchanged),\n                repeatable=False,",
        "parser(_CodeExchanged),\n                repeatable=True,",
    ),
    Check(
        "WeChat: where a citizen may be sent back to",
        "gateway/channels/wechat/adapter.py",
        'check_address(redirect_uri, self._hosts(), "redirectUri")',
        "",
    ),
    Check(
        "UnionPay: the signature of a notification",
        "gateway/channels/unionpay/crypto.py",
        "    except InvalidSignature as cause:\n        raise ForgedCallback from cause\n",
        "    except InvalidSignature:\n        pass\n",
    ),
    Check(
        "UnionPay: a field hidden in another",
        "gateway/channels/unionpay/crypto.py",
        "    _check_unambiguous(fields)\n",
        "",
    ),
    Check(
        "UnionPay: the app that a notification is for",
        "gateway/channels/unionpay/adapter.py",
        'ours = fields.get("appId") == self._settings.unionpay_app_id',
        'ours = "appId" in fields',
    ),
    Check(
        "UnionPay: the age of a notification",
        "gateway/channels/unionpay/adapter.py",
        ' and is_current(fields.get("timestamp", ""), now)',
        "",
    ),
    Check(
        "UnionPay: only a resident ID card counts",
        "gateway/channels/unionpay/adapter.py",
        "if person.cert_tp != RESIDENT_ID or not",
        "if not",
    ),
    Check(
        "Ping An: whether the platform knows the request code",
        "gateway/channels/ping_an/adapter.py",
        "_says(checked.verify_result, VERIFIED) and checked.user_access_token",
        "checked.user_access_token",
    ),
    Check(
        "Ping An: whether the name was verified",
        "gateway/channels/ping_an/adapter.py",
        "if not (real_named and _says(user.card_type, RESIDENT_ID)):",
        "if not _says(user.card_type, RESIDENT_ID):",
    ),
    Check(
        "Ping An: whether the reply says that the call went well",
        "gateway/channels/ping_an/adapter.py",
        "if not self._signer.accepted(reply):",
        'if "code" not in reply:',
    ),
    Check(
        "All: what no app could have sent",
        "gateway/channels/contract/base.py",
        "if not is_credential(credential):",
        "if credential is None:",
    ),
    Check(
        "All: a state that we issued, for this channel, not too long ago",
        "gateway/channels/contract/base.py",
        "        if nonce is None:\n            raise SignInStateInvalid",
        '        if nonce is None and entry.state == "-":\n            raise SignInStateInvalid',
    ),
    Check(
        "All: what came before is dropped",
        "core/services/channel_events.py",
        "    if not await _is_new(unit, event):\n        return False\n",
        "    await _is_new(unit, event)\n",
    ),
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help="checks whose name holds this")
    only = options.parse_args().only
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy(copy)
        failed = _first_failure(copy)
        print(f"{'every check on':60} {failed or 'passes'}", flush=True)
        for check in CHECKS:
            if only in check.name:
                failed = _with_off(copy, check)
                unnoticed += failed is None
                print(f"{check.name:60} {failed or 'UNNOTICED'}", flush=True)
    sys.exit(1 if unnoticed else 0)


def _copy(to: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)


def _with_off(copy: Path, check: Check) -> str | None:
    file = copy / check.file
    code = file.read_text("utf-8")
    if code.count(check.on) != 1:
        sys.exit(f"{check.name}: {check.file} does not hold once what is to be switched off.")
    file.write_text(code.replace(check.on, check.off), "utf-8")
    try:
        return _first_failure(copy)
    finally:
        file.write_text(code, "utf-8")


def _first_failure(copy: Path) -> str | None:
    """Run from the copy, whose modules come before the installed ones."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
    ]
    finished = subprocess.run(  # noqa: S603 - our own tests
        [*command, "-k", "not postgres", *SUITE],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode == 0:
        return None
    found = _FAILED.search(finished.stdout)
    return found[1] if found else f"the tests did not run:\n{finished.stdout}{finished.stderr}"


if __name__ == "__main__":
    main()
