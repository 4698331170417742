from core.kernel.callers import RealNameLevel
from core.kernel.refusals import ChannelUnavailable, RealNameRequired, SignInExpired
from gateway.channels.contract import Identity

from ..parts import NAME, NUMBER, PHONE
from .shape import Call, Refused, Samples

BASE = "https://ping-an.test/openPlatform/"


def done(**data: object) -> dict[str, object]:
    return {"code": 200, "msg": "成功", "data": data}


def user(**changed: object) -> dict[str, object]:
    return done(
        **{
            "openId": "ping-an-open-id",
            "userName": NAME,
            "idcard": NUMBER,
            "cardType": "1",
            "mobileNo": PHONE,
            "realNameStatus": "1",
            **changed,
        }
    )


def checked(**changed: object) -> dict[str, object]:
    return done(
        **{
            "userAccessToken": "ping-an-user-token",
            "verifyResult": "1",
            "expiresIn": 1800,
            **changed,
        }
    )


def _refused(call: str, refusal: type) -> Refused:
    return Refused(call, {"code": 500, "msg": "no", "data": None}, refusal)


SAMPLES = Samples(
    settings={
        "ping_an_url": "https://ping-an.test",
        "ping_an_app_id": "pa0000000000000001",
        "ping_an_app_key": "ping-an-app-key",
    },
    credential="ping-an-request-code",
    identity=Identity("ping-an-open-id", RealNameLevel.PLATFORM, 1800, NAME, NUMBER, PHONE),
    calls=(
        Call(
            "getAuthCode",
            "POST",
            BASE + "authCode/getAuthCode.do",
            done(authCode="ping-an-auth-code"),
            repeatable=True,
            fetches_token=True,
        ),
        Call(
            "getAccessToken",
            "POST",
            BASE + "accessToken/getAccessToken.do",
            done(
                accessToken="ping-an-access-token",
                refreshToken="ping-an-refresh-token",
                expiresIn=7200,
            ),
            repeatable=False,
            fetches_token=True,
        ),
        Call(
            "checkRequestCode",
            "POST",
            BASE + "request/checkRequestCode.do",
            checked(),
            repeatable=False,
        ),
        Call("getUserInfo", "POST", BASE + "userInfo/getUserInfo.do", user(), repeatable=True),
    ),
    used=_refused("checkRequestCode", SignInExpired),
    refusals=(
        _refused("getAuthCode", ChannelUnavailable),
        _refused("getAccessToken", ChannelUnavailable),
        _refused("checkRequestCode", SignInExpired),
        _refused("getUserInfo", ChannelUnavailable),
        Refused("checkRequestCode", checked(verifyResult="0"), SignInExpired),
        Refused("checkRequestCode", checked(verifyResult=False), SignInExpired),
        Refused("checkRequestCode", checked(userAccessToken=""), SignInExpired),
        Refused("getUserInfo", user(realNameStatus="0"), RealNameRequired),
        Refused("getUserInfo", user(realNameStatus=""), RealNameRequired),
        Refused("getUserInfo", user(cardType="2"), RealNameRequired),
        Refused("getUserInfo", user(userName=""), RealNameRequired),
        Refused("getUserInfo", user(idcard=""), RealNameRequired),
    ),
    secrets=(
        "ping-an-app-key",
        "ping-an-request-code",
        "ping-an-auth-code",
        "ping-an-access-token",
        "ping-an-refresh-token",
        "ping-an-user-token",
        "ping-an-open-id",
        NAME,
        NUMBER,
        PHONE,
    ),
)
