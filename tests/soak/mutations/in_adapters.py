"""The checks of the channels' adapters, switched off one at a time: the contract suite must notice."""

from tests.soak.mutations.mutation import Mutation

SUITE = ("tests/channels/over_http/test_contract.py", "tests/channels/test_contract.py")


def _check(name: str, file: str, on: str, off: str) -> Mutation:
    return Mutation(name, file, on, off, SUITE, "what this check keeps out comes in")


MUTATIONS = (
    _check(
        "WeChat: the signature of a callback",
        "gateway/channels/wechat/callback.py",
        "if not hmac.compare_digest(expected.encode(), signature.encode()):",
        "if not expected:",
    ),
    _check(
        "WeChat: the age of a callback",
        "gateway/channels/wechat/callback.py",
        "is_current(timestamp, now) and nonce.isascii()",
        "nonce.isascii()",
    ),
    _check(
        "WeChat: the account that a message was encrypted for",
        "gateway/channels/wechat/callback.py",
        "if not hmac.compare_digest(plain[end:], self._app_id):",
        "if not plain[end:]:",
    ),
    _check(
        "WeChat: only the secure mode once there is a key",
        "gateway/channels/wechat/callback.py",
        "        if self._cipher is None:\n            self._check_signature(query",
        '        if self._cipher is None or "Encrypt" not in sent:\n'
        "            self._check_signature(query",
    ),
    _check(
        "WeChat: a virtual account",
        "gateway/channels/wechat/adapter.py",
        "if exchanged.is_snapshotuser == 1:",
        "if exchanged.is_snapshotuser == 2:",
    ),
    _check(
        "WeChat: a code is exchanged at most once",
        "gateway/channels/wechat/adapter.py",
        "parser(_CodeExchanged),\n                repeatable=False,",
        "parser(_CodeExchanged),\n                repeatable=True,",
    ),
    _check(
        "WeChat: where a citizen may be sent back to",
        "gateway/channels/wechat/adapter.py",
        'check_address(redirect_uri, self._hosts(), "redirectUri")',
        "",
    ),
    _check(
        "UnionPay: the signature of a notification",
        "gateway/channels/unionpay/crypto.py",
        "    except InvalidSignature as cause:\n        raise ForgedCallback from cause\n",
        "    except InvalidSignature:\n        pass\n",
    ),
    _check(
        "UnionPay: a field hidden in another",
        "gateway/channels/unionpay/crypto.py",
        "    _check_unambiguous(fields)\n",
        "",
    ),
    _check(
        "UnionPay: the app that a notification is for",
        "gateway/channels/unionpay/adapter.py",
        'ours = fields.get("appId") == self._settings.unionpay_app_id',
        'ours = "appId" in fields',
    ),
    _check(
        "UnionPay: the age of a notification",
        "gateway/channels/unionpay/adapter.py",
        ' and is_current(fields.get("timestamp", ""), now)',
        "",
    ),
    _check(
        "UnionPay: only a resident ID card counts",
        "gateway/channels/unionpay/adapter.py",
        "if person.cert_tp != RESIDENT_ID or not",
        "if not",
    ),
    _check(
        "Ping An: whether the platform knows the request code",
        "gateway/channels/ping_an/adapter.py",
        "_says(checked.verify_result, VERIFIED) and checked.user_access_token",
        "checked.user_access_token",
    ),
    _check(
        "Ping An: whether the name was verified",
        "gateway/channels/ping_an/adapter.py",
        "if not (real_named and _says(user.card_type, RESIDENT_ID)):",
        "if not _says(user.card_type, RESIDENT_ID):",
    ),
    _check(
        "Ping An: whether the reply says that the call went well",
        "gateway/channels/ping_an/adapter.py",
        "if not self._signer.accepted(reply):",
        'if "code" not in reply:',
    ),
    _check(
        "All: what no app could have sent",
        "gateway/channels/contract/base.py",
        "if not is_credential(credential):",
        "if credential is None:",
    ),
    _check(
        "All: a state that we issued, for this channel, not too long ago",
        "gateway/channels/contract/base.py",
        "        if nonce is None:\n            raise SignInStateInvalid",
        '        if nonce is None and entry.state == "-":\n            raise SignInStateInvalid',
    ),
    _check(
        "All: what came before is dropped",
        "core/services/channel_events.py",
        "    if not await _is_new(unit, event):\n        return False\n",
        "    await _is_new(unit, event)\n",
    ),
)
