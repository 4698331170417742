import pytest

from gateway.channels.platform_client import PlatformFailed, ReplyPart, parser


class Token(ReplyPart, frozen=True, rename="camel"):
    access_token: str
    expires_in: int


def test_reads_the_fields_that_are_documented_and_ignores_others() -> None:
    token = parser(Token)({"accessToken": "value", "expiresIn": "7200", "more": [1]})

    assert (token.access_token, token.expires_in) == ("value", 7200)


def test_shows_no_value() -> None:
    token = parser(Token)({"accessToken": "value", "expiresIn": 7200})

    assert f"{token!r} {token}" == "<Token> <Token>"


@pytest.mark.parametrize(
    "reply", [None, [], "", {}, {"accessToken": "value"}, {"accessToken": 7, "expiresIn": 1}]
)
def test_a_reply_without_them_is_a_failure_that_names_no_value(reply: object) -> None:
    with pytest.raises(PlatformFailed, match=r"^unexpected reply$"):
        parser(Token)(reply)
