from core.callers import RealNameLevel
from core.errors import AuthorizationRequired, ChannelUnavailable, RealNameRequired, SignInExpired
from gateway.channels.shapes import Identity

from ..parts import NAME, NUMBER, PHONE, unionpay_field
from .shape import Call, Refused, Samples

BASE = "https://unionpay.test/open/access/1.0/"


def done(**params: object) -> dict[str, object]:
    return {"resp": "00", "msg": "成功", "params": params}


def person(certificate: str, name: str = NAME, number: str = NUMBER) -> dict[str, object]:
    return done(
        realName=unionpay_field(name) if name else "",
        certTp=unionpay_field(certificate),
        certId=unionpay_field(number) if number else "",
    )


def _refused(call: str, code: str, refusal: type) -> Refused:
    return Refused(call, {"resp": code, "msg": "no"}, refusal)


SAMPLES = Samples(
    credential="uni%2Bpay%2Fcode%3D%3D",
    identity=Identity("unionpay-open-id", RealNameLevel.PLATFORM, 3600, NAME, NUMBER, PHONE),
    calls=(
        Call(
            "backendToken",
            "POST",
            BASE + "backendToken",
            done(backendToken="unionpay-backend-token", expiresIn=7200),
            repeatable=True,
        ),
        Call(
            "token",
            "POST",
            BASE + "token",
            done(
                accessToken="unionpay-access-token",
                expiresIn=3600,
                openId="unionpay-open-id",
                unionId="unionpay-union-id",
                scope="upapi_auth",
                refreshToken="unionpay-refresh-token",
            ),
            repeatable=False,
        ),
        Call("user.auth", "POST", BASE + "user.auth", person("01"), repeatable=True),
        Call(
            "user.mobile",
            "POST",
            BASE + "user.mobile",
            done(mobile=unionpay_field(PHONE), cntryPhoneCd="86"),
            repeatable=True,
        ),
    ),
    used=_refused("token", "a31", SignInExpired),
    refusals=(
        _refused("token", "a31", SignInExpired),
        _refused("token", "3023", SignInExpired),
        _refused("token", "BC2209", SignInExpired),
        _refused("token", "a10", ChannelUnavailable),
        _refused("backendToken", "BC0024", ChannelUnavailable),
        _refused("backendToken", "SG0024", ChannelUnavailable),
        _refused("backendToken", "BC0025", ChannelUnavailable),
        _refused("backendToken", "N60025", ChannelUnavailable),
        _refused("backendToken", "SG0025", ChannelUnavailable),
        _refused("backendToken", "BC2126", ChannelUnavailable),
        _refused("user.auth", "N62131", ChannelUnavailable),
        _refused("user.auth", "N62197", AuthorizationRequired),
        _refused("user.auth", "3023", SignInExpired),
        _refused("user.mobile", "BC2209", SignInExpired),
        _refused("user.auth", "unheard-of", ChannelUnavailable),
        Refused("user.auth", person("03"), RealNameRequired),
        Refused("user.auth", person("04"), RealNameRequired),
        Refused("user.auth", person("05"), RealNameRequired),
        Refused("user.auth", person("01", name=""), RealNameRequired),
        Refused("user.auth", person("01", number=""), RealNameRequired),
        Refused("user.auth", done(realName="", certTp="", certId=""), RealNameRequired),
        Refused("user.auth", done(realName="AAAA", certTp="01", certId="x"), ChannelUnavailable),
    ),
    secrets=(
        "unionpay-app-secret",
        "0123456789abcdef23456789abcdef01456789abcdef0123",
        "uni%2Bpay",
        "uni+pay",
        "unionpay-backend-token",
        "unionpay-access-token",
        "unionpay-refresh-token",
        "unionpay-open-id",
        "unionpay-union-id",
        NAME,
        NUMBER,
        PHONE,
    ),
    others=(
        Call(
            "user.status",
            "POST",
            BASE + "user.status",
            done(isRegister="1", isAuth="1", certType="01"),
            repeatable=True,
        ),
    ),
)
