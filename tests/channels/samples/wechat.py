from core.callers import RealNameLevel
from core.errors import ChannelUnavailable, SignInExpired, VirtualAccount
from gateway.channels.shapes import Identity

from .shape import Call, Refused, Samples

EXCHANGED = {
    "access_token": "wechat-user-access-token",
    "expires_in": 7200,
    "refresh_token": "wechat-user-refresh-token",
    "openid": "oWeChatOpenIdOfAPerson",
    "scope": "snsapi_base",
}


def _refused(code: int, refusal: type) -> Refused:
    return Refused("access_token", {"errcode": code, "errmsg": "no"}, refusal)


SAMPLES = Samples(
    credential="wechat-one-time-code",
    identity=Identity("oWeChatOpenIdOfAPerson", RealNameLevel.NONE, 7200),
    calls=(
        Call(
            "access_token",
            "GET",
            "https://wechat.test/sns/oauth2/access_token",
            EXCHANGED,
            repeatable=False,
        ),
    ),
    used=_refused(40163, SignInExpired),
    refusals=(
        _refused(40029, SignInExpired),
        _refused(40163, SignInExpired),
        _refused(-1, ChannelUnavailable),
        _refused(40001, ChannelUnavailable),
        _refused(40003, ChannelUnavailable),
        _refused(40164, ChannelUnavailable),
        _refused(42001, ChannelUnavailable),
        _refused(45009, ChannelUnavailable),
        _refused(99999, ChannelUnavailable),
        Refused("access_token", {**EXCHANGED, "is_snapshotuser": 1}, VirtualAccount),
    ),
    secrets=(
        "wechat-app-secret",
        "wechat-one-time-code",
        "wechat-user-access-token",
        "wechat-user-refresh-token",
        "oWeChatOpenIdOfAPerson",
    ),
)
